/** The work of a worker for one data layer: it turns samples into a batch. */
import type { FillerSpec } from '../caffe/fillers.ts';
import type { AnnotatedTransform } from './annotated-param.ts';
import type { Batch } from './source.ts';
import type { Transform } from './transform.ts';

/** One sample of a batch. */
export interface Sample {
  /** The index of the record, image or row. */
  readonly index: number;
  /** The seed of all random numbers of the sample. */
  readonly seed: number;
  readonly image?: ListedImage;
}

/** A line of an image list. */
export interface ListedImage {
  /** The path to open. */
  readonly path: string;
  readonly label: number;
  /** All values, if the list has several per line. */
  readonly labels?: readonly number[];
  /** The path of the image with its classes. */
  readonly map?: string;
  /** The line in the list, from 1. */
  readonly line: number;
}

/** The result of opening the data in the first worker. */
export interface Description {
  /** The shape of one sample for each top. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The number of records of a database. */
  readonly count?: number;
  /** The number of rows of each file (HDF5). */
  readonly rows?: readonly number[];
}

export interface Reader {
  /**
   * @param first The first sample.
   * @throws DataError
   */
  describe(first: Sample): Promise<Description>;
  /**
   * Fills a batch, whose arrays may contain anything before. Stops early, with any content, when `stopped` is true.
   * @param output Arrays for `samples.length` samples of `shapes`.
   * @throws DataError that names the sample
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
  /** Null if the layer has only one top. */
  readonly label: string | null;
}

export interface DatabaseSpec {
  readonly kind: 'lmdb' | 'leveldb';
  readonly path: string;
  readonly tops: Tops;
  readonly transform: Transform;
}

/** For AnnotatedDatums the label is 1×1×K×8, the boxes of a whole batch. */
export interface AnnotatedSpec {
  readonly kind: 'annotated';
  readonly backend: 'lmdb' | 'leveldb';
  readonly path: string;
  readonly tops: Tops;
  readonly transform: Transform;
  readonly annotated: AnnotatedTransform;
  /** The number of samples per batch. */
  readonly batch: number;
}

/** Windows of images, warped to crop_size. */
export interface WindowSpec {
  readonly kind: 'windows';
  /** The window file's name as written, for errors. */
  readonly source: string;
  /** The window file's path to open. */
  readonly file: string;
  /** The prefix of each image's path, which is then relative to `folder`. */
  readonly root: string;
  readonly folder: string;
  readonly tops: Tops;
  /** The crop_size, mean and mirror. */
  readonly transform: Transform;
  readonly scale: number;
  /** The number of pixels on each side of the crop that show the surroundings of the window. */
  readonly contextPad: number;
  /** Whether windows are made square before they are warped. */
  readonly isSquare: boolean;
  /** The overlap from which a window is foreground, and below which it is background. */
  readonly thresholds: { readonly foreground: number; readonly background: number };
  /** The share of foreground windows in a batch. */
  readonly foreground: number;
  /** The number of samples per batch. */
  readonly batch: number;
}

/** Images with a class for each pixel. */
export interface SegmentationSpec {
  readonly kind: 'segmentation';
  /** The name of the list in errors. */
  readonly list: string;
  /** Data, label, and the original size of the image. */
  readonly tops: readonly string[];
  readonly resize: { readonly width: number; readonly height: number } | null;
  /** Its crop_size is ignored. */
  readonly transform: Transform;
  readonly crop: { readonly width: number; readonly height: number } | null;
  /** One of these factors is drawn to resize an image and its classes. */
  readonly factors: readonly number[];
  /** Where the classes are: in an image of the same size, one class for the whole image, or nowhere. */
  readonly labels: 'PIXEL' | 'IMAGE' | 'NONE';
  /** The label of pixels outside the image. */
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
      /** The name of the list in errors. */
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
