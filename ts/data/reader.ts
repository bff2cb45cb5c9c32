/** What a worker does for one data layer: samples → a batch. */
import type { FillerSpec } from '../caffe/fillers.ts';
import type { AnnotatedTransform } from './annotated-param.ts';
import type { Batch } from './source.ts';
import type { Transform } from './transform.ts';

/** One sample of a batch. */
export interface Sample {
  /** Which record, image or row. */
  readonly index: number;
  /** Of all that is random about it. */
  readonly seed: number;
  readonly image?: ListedImage;
}

/** A line of an image list. */
export interface ListedImage {
  /** As it is opened. */
  readonly path: string;
  readonly label: number;
  /** All values, where the list has several a line. */
  readonly labels?: readonly number[];
  /** The image of its classes, as it is opened. */
  readonly map?: string;
  /** In the list, from 1 on. */
  readonly line: number;
}

/** What the first worker finds when it opens the data. */
export interface Description {
  /** Top → shape of one sample. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Records, for a database. */
  readonly count?: number;
  /** Rows of each file (HDF5). */
  readonly rows?: readonly number[];
}

export interface Reader {
  /** @param first The first sample. @throws DataError */
  describe(first: Sample): Promise<Description>;
  /**
   * Fills a batch, whose arrays may hold anything before. Gives up, with anything in them, when `stopped` says so.
   * @param output Of `samples.length` times `shapes`.
   * @throws DataError naming the sample
   */
  read(
    samples: readonly Sample[],
    shapes: Description['shapes'],
    output: Batch,
    stopped: () => boolean,
  ): Promise<void>;
  close(): void | Promise<void>;
}

interface Tops {
  readonly data: string;
  /** Null where the layer has one top. */
  readonly label: string | null;
}

export interface DatabaseSpec {
  readonly kind: 'lmdb' | 'leveldb';
  readonly path: string;
  readonly tops: Tops;
  readonly transform: Transform;
}

/** Of AnnotatedDatums: the label is 1×1×K×8, the boxes of a whole batch. */
export interface AnnotatedSpec {
  readonly kind: 'annotated';
  readonly backend: 'lmdb' | 'leveldb';
  readonly path: string;
  readonly tops: Tops;
  readonly transform: Transform;
  readonly annotated: AnnotatedTransform;
  /** Samples a batch. */
  readonly batch: number;
}

/** Windows of images, warped to crop_size. */
export interface WindowSpec {
  readonly kind: 'windows';
  /** The window file as it is written, for errors. */
  readonly source: string;
  /** The same as it is opened. */
  readonly file: string;
  /** Put before the path of each image, which is then relative to `folder`. */
  readonly root: string;
  readonly folder: string;
  readonly tops: Tops;
  /** Its crop_size, mean and mirror. */
  readonly transform: Transform;
  readonly scale: number;
  /** Pixels of the crop on each side that show what is around the window. */
  readonly contextPad: number;
  /** Whether windows are made square before they are warped. */
  readonly isSquare: boolean;
  /** Overlap from which a window is foreground, and below which it is background. */
  readonly thresholds: { readonly foreground: number; readonly background: number };
  /** Part of a batch that is foreground. */
  readonly foreground: number;
  /** Samples a batch. */
  readonly batch: number;
}

/** Images with a class for each pixel. */
export interface SegmentationSpec {
  readonly kind: 'segmentation';
  /** Named in errors. */
  readonly list: string;
  /** Data, label, and the size that an image had. */
  readonly tops: readonly string[];
  readonly resize: { readonly width: number; readonly height: number } | null;
  /** Its crop_size is not looked at. */
  readonly transform: Transform;
  readonly crop: { readonly width: number; readonly height: number } | null;
  /** One is drawn, by which an image and its classes are resized. */
  readonly factors: readonly number[];
  /** Where the classes are: in an image beside it, one for all of it, or nowhere. */
  readonly labels: 'PIXEL' | 'IMAGE' | 'NONE';
  /** What pixels beyond the image have. */
  readonly ignoreLabel: number;
}

/** What to read, as plain data. */
export type ReaderSpec =
  | DatabaseSpec
  | AnnotatedSpec
  | WindowSpec
  | SegmentationSpec
  | {
      readonly kind: 'images';
      /** Named in errors. */
      readonly list: string;
      readonly tops: Tops;
      readonly resize: { readonly width: number; readonly height: number } | null;
      readonly transform: Transform;
    }
  | { readonly kind: 'hdf5'; readonly files: readonly string[]; readonly tops: readonly string[] }
  | {
      readonly kind: 'dummy';
      readonly tops: readonly {
        readonly name: string;
        readonly shape: readonly number[];
        readonly filler: FillerSpec;
      }[];
    };

/** Tops whose shape is that of a whole batch. */
export const wholeTops = (spec: ReaderSpec): readonly string[] =>
  spec.kind === 'annotated' && spec.tops.label !== null ? [spec.tops.label] : [];
