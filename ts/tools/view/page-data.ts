/** The page's data: plain, complete JSON with the layout. The page's own scripts (page/*.js) only draw it. */
import type { ReceptiveField } from '../../graph/receptive-field.ts';

/** Decides a card's colour. */
export type Kind =
  | 'data'
  | 'convolution'
  | 'product'
  | 'pooling'
  | 'normalisation'
  | 'activation'
  | 'combination'
  | 'shape'
  | 'detection'
  | 'loss'
  | 'unknown';

/** One layer of the net as written. */
export interface PageLayer {
  readonly name: string;
  readonly type: string;
  /** The window of a layer such as a convolution or pooling: `3×3 /2`. */
  readonly detail: string;
  /** Line in the prototxt. */
  readonly line: number | null;
  /** Index into `PageData.cards`. */
  readonly card: number;
  readonly bottoms: readonly PageBlob[];
  readonly tops: readonly PageBlob[];
  readonly parameters: readonly PageParameter[];
  /** Multiply-accumulates. */
  readonly macs: number;
  /** Of the first top. */
  readonly field: ReceptiveField | null;
  /** The blob consists of regions of interest, which may be anywhere, so it has no receptive field. */
  readonly isOfRegions: boolean;
  /** The layer in prototxt form. */
  readonly text: string;
  /** The reason why resnode cannot run it; null if it can. */
  readonly problem: string | null;
  /** A remark about layers without an operation of their own. */
  readonly remark: string | null;
}

export interface PageBlob {
  readonly name: string;
  /** Null if it is unknown. */
  readonly shape: readonly number[] | null;
  /** Layers: the one that makes a bottom, or those that read a top. */
  readonly others: readonly number[];
}

export interface PageParameter {
  readonly shape: readonly number[];
  /** The layer whose parameter this is, if it is shared. */
  readonly sharedWith: string | null;
}

/** One operation as it runs after the passes, drawn as one card; `x`, `y` is its upper left corner. */
export interface PageCard {
  readonly layers: readonly number[];
  readonly kind: Kind;
  /** False if resnode cannot run it. */
  readonly runs: boolean;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Of the last top, without the batch. */
  readonly shape: string;
  /** The cost of the operation as it runs (moved strides reduce it), and the bytes that it must read and write. */
  readonly macs: number;
  readonly bytes: number;
  /** "runs at 28×28: …", if the passes changed the shape. */
  readonly note: string | null;
  readonly measured: Measured | null;
}

export interface Measured {
  readonly milliseconds: number;
  readonly implementation: string;
  /** The minimal time within the machine's limits. */
  readonly bound: number;
  /** The binding limit: arithmetic or memory. */
  readonly limit: 'arithmetic' | 'memory';
}

export interface PageEdge {
  readonly from: number;
  readonly to: number;
  /** x, y, x, y, … */
  readonly points: readonly number[];
}

/** The highest rates, and their source. */
export interface Roofs {
  readonly gflops: number;
  readonly gigabytes: number;
  readonly source: string;
}

export interface PageData {
  readonly title: string;
  readonly file: string;
  readonly version: string;
  readonly totals: {
    readonly layers: number;
    readonly operations: number;
    readonly parameters: number;
    readonly macs: number;
    /** All blobs, each once, float32. */
    readonly activationBytes: number;
    readonly milliseconds: number | null;
  };
  /** Sentences below the title: layers that cannot run, assumed shapes. */
  readonly remarks: readonly string[];
  readonly roofs: Roofs | null;
  readonly width: number;
  readonly height: number;
  readonly layers: readonly PageLayer[];
  readonly cards: readonly PageCard[];
  readonly edges: readonly PageEdge[];
}

/** A grid of tiles as a PNG. */
export interface Picture {
  /** Base64. */
  readonly png: string;
  readonly width: number;
  readonly height: number;
  /** A description: which channels, and the meaning of grey. */
  readonly caption: string;
  /** Tiles with individual scales. The page can show them on one scale. */
  readonly scales?: Scales;
}

/** The data that make individually scaled tiles of a picture comparable. */
export interface Scales {
  readonly columns: number;
  /** A tile's size. One pixel separates two tiles. */
  readonly width: number;
  readonly height: number;
  /** For each tile, its largest value relative to the largest of all. */
  readonly shares: readonly number[];
  /** The grey of 0: black, or the middle if there are negative values. */
  readonly zero: number;
  /** The caption if all tiles have one scale. */
  readonly caption: string;
}

/** A layer's pictures. They are separate from `PageData`, because the page reads them only when a layer is opened. */
export interface LayerPictures {
  readonly activation?: Picture;
  /** The largest values of a blob without height and width, largest first. */
  readonly largest?: readonly {
    readonly index: number;
    readonly label: string | null;
    readonly value: number;
  }[];
  readonly filters?: Picture;
  /** One line for each blob of the layer. */
  readonly statistics?: readonly string[];
}

/** By index of the layer. */
export type PagePictures = Readonly<Record<number, LayerPictures>>;
