/** The context in which a data layer is opened. */
import { DataError } from '../base/errors.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { Augment } from './augment.ts';
import type { Batch } from './source.ts';

export interface DataLayerOptions {
  readonly phase: 'TRAIN' | 'TEST';
  /** The seed of shuffles, crops, mirrors, fillers and all other random numbers. Default 1. */
  readonly seed?: number;
  /** The folder that file names in the prototxt are relative to. Default: the working folder, as in Caffe. */
  readonly folder?: string;
  /** Makes the batches of an Input or MemoryData layer; for other types it replaces the layer's own data. */
  readonly iterator?: AsyncIterable<Batch>;
  /**
   * The rank of this process among `ranks` that train together; in phase TRAIN each reads its own samples. Default 0 of 1.
   */
  readonly rank?: number;
  readonly ranks?: number;
  /**
   * What each of several processes takes of the common order: every `ranks`th sample, as in Caffe's solvers, or every
   * `ranks`th batch, which is then a batch of one process. Default `samples`.
   */
  readonly share?: 'samples' | 'batches';
  /** Augmentations beside transform_param. */
  readonly augment?: Augment;
  /**
   * The number of threads. Default: the size of libuv's pool (UV_THREADPOOL_SIZE, else 4), but not more than the batches
   * made ahead (the layer's `prefetch`) or the processors; one for HDF5 and LevelDB.
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

/** Makes the errors in the parameters of a layer, which name its place in the prototxt. */
export function refuserOf(layer: LayerParameter): Context['refuse'] {
  const { name = '', type = '' } = layer;
  const position = positionOf(layer);
  const at = { layer: name, type, ...(position === undefined ? {} : { position }) };
  return (text) => new DataError('data/layer', at, text);
}
