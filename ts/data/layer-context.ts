/** A data layer while it is opened. */
import type { DataError } from '../base/errors.ts';
import type { Augment } from './augment.ts';
import type { Batch } from './source.ts';

export interface DataLayerOptions {
  readonly phase: 'TRAIN' | 'TEST';
  /** Of shuffles, crops, mirrors, fillers and all other randomness. Default 1. */
  readonly seed?: number;
  /** What file names of the prototxt are relative to. Default: the working folder, as for Caffe. */
  readonly folder?: string;
  /** Makes the batches of an Input or MemoryData layer; for another type, instead of its own data. */
  readonly iterator?: AsyncIterable<Batch>;
  /** Of `ranks` processes that train together, this one; in phase TRAIN each reads its own samples. Default 0 of 1. */
  readonly rank?: number;
  readonly ranks?: number;
  /**
   * What of the order of one process each of several takes: every `ranks`th sample, as Caffe's solvers do, or every
   * `ranks`th batch, which then is one of that process. Default `samples`.
   */
  readonly share?: 'samples' | 'batches';
  /** What is done to images beside transform_param. */
  readonly augment?: Augment;
  /**
   * Threads. Default as many as libuv has (UV_THREADPOOL_SIZE, else 4), but no more than batches are made ahead (the
   * layer's `prefetch`) or processors are there; one for HDF5 and LevelDB.
   */
  readonly workers?: number;
}

export interface Context {
  readonly name: string;
  readonly type: string;
  readonly tops: readonly string[];
  readonly options: DataLayerOptions;
  readonly path: (file: string) => string;
  readonly refuse: (text: string) => DataError;
}
