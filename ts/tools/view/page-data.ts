/** What the page is given: plain JSON, complete, laid out. The page's own scripts (page/*.js) only draw it. */
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
  /** The window of a layer that slides one: `3×3 /2`. */
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
  /** It is made of regions of interest, which may lie anywhere: it has no field. */
  readonly isOfRegions: boolean;
  /** The layer in prototxt form. */
  readonly text: string;
  /** Why resnode cannot run it; null where it can. */
  readonly problem: string | null;
  /** What became of it: a remark for layers that are computed by no operation of their own. */
  readonly remark: string | null;
}

export interface PageBlob {
  readonly name: string;
  /** null where it is not known. */
  readonly shape: readonly number[] | null;
  /** Layers: the one that makes a bottom, or those that read a top. */
  readonly others: readonly number[];
}

export interface PageParameter {
  readonly shape: readonly number[];
  /** "layer" whose parameter this is, where it is another's (shared). */
  readonly sharedWith: string | null;
}

/** One operation as it runs after the passes, drawn as one card; `x`, `y` is its upper left corner. */
export interface PageCard {
  readonly layers: readonly number[];
  readonly kind: Kind;
  /** False where resnode cannot run it. */
  readonly runs: boolean;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Of the last top, without the batch. */
  readonly shape: string;
  /** Of the operation as it runs (moved strides make it smaller), and the bytes that it must read and write. */
  readonly macs: number;
  readonly bytes: number;
  /** "runs at 28×28: …", where the passes changed the shape. */
  readonly note: string | null;
  readonly measured: Measured | null;
}

export interface Measured {
  readonly milliseconds: number;
  readonly implementation: string;
  /** The least time that the roofs allow. */
  readonly bound: number;
  /** Which roof: arithmetic or memory. */
  readonly limit: 'arithmetic' | 'memory';
}

export interface PageEdge {
  readonly from: number;
  readonly to: number;
  /** x, y, x, y, … */
  readonly points: readonly number[];
}

/** The highest rates, and where they come from. */
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
  /** Sentences to show under the title: layers that cannot run, shapes that were assumed. */
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
  /** What is seen: which channels, what grey means. */
  readonly caption: string;
  /** Tiles that have a scale of their own; the page can show them on one. */
  readonly scales?: Scales;
}

/** How the tiles of a picture that are scaled one by one become comparable. */
export interface Scales {
  readonly columns: number;
  /** A tile's size; a pixel lies between two. */
  readonly width: number;
  readonly height: number;
  /** Of each tile, the largest value as a share of the largest of all. */
  readonly shares: readonly number[];
  /** The grey of 0: black, or the middle where there are negative values. */
  readonly zero: number;
  /** The caption where all have one scale. */
  readonly caption: string;
}

/** A layer's pictures; kept apart from `PageData`, because the page reads them only when a layer is opened. */
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
