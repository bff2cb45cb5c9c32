/**
 * Computes BatchNorm's mean and variance as true averages, not moving ones, over many batches of a trained net. The authors
 * of residual networks did this for the models that they published ("computed by average (not moving average) on a
 * sufficiently large training batch after the training procedure", README of KaimingHe/deep-residual-networks).
 *
 * The variance is the unbiased one of each batch, averaged: m/(m − 1) times the biased variance that normalises the batch,
 * for m values per channel. Its expectation is the population's variance, which inference needs (Ioffe & Szegedy, arXiv
 * 1502.03167, algorithm 2), and Caffe's BatchNorm stores the same (batch_norm_layer.cpp).
 */

import { GraphError } from '../base/errors.ts';
import { callback, having, integer, list, signal, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';
import { type WeightsFile, type WeightsLayer, weightsFile } from '../caffe/caffemodel.ts';
import type { MatchOptions } from '../caffe/match-weights.ts';
import { matchOptions } from '../caffe/match-weights.ts';
import { inheritPosition } from '../caffe/message.ts';
import { filterNet, type LayerParameter, type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { type DataSource, dataSource } from '../data/source.ts';
import type { Device } from '../device/device.ts';

export interface StatisticsOptions {
  /** An unfiltered net, whose TRAIN phase is run. */
  readonly net: NetParameter;
  readonly level?: number;
  readonly stages?: readonly string[];
  readonly weights: WeightsFile;
  /** What happens to layers that the weights do not fit. */
  readonly match?: MatchOptions;
  /** The source of the batches of phase TRAIN. */
  readonly source: DataSource;
  /** The number of batches. */
  readonly iterations: number;
  readonly device: Pick<Device, 'load'>;
  readonly signal?: AbortSignal;
  readonly onBatch?: (done: number) => void;
}

export interface Statistics {
  /** The given weights with the new statistics. */
  readonly weights: WeightsFile;
  readonly layers: readonly string[];
  /** The number of samples that were measured. */
  readonly samples: number;
}

const AVERAGE_STATISTICS = signature('averageStatistics', {
  options: required(
    options<StatisticsOptions>({
      net: required(netParameter, 'A net that is not filtered for a phase.'),
      level: optional(integer(), '0', "Caffe's NetState level."),
      stages: optional(list(string, { of: 'stage names' }), 'none', "Caffe's NetState stages."),
      weights: required(weightsFile, 'The weights of the net.'),
      match: optional(matchOptions, 'all must fit', 'What happens to layers that the weights do not fit.'),
      source: required(dataSource, 'The batches of phase TRAIN.'),
      iterations: required(integer(1), 'The number of batches.'),
      device: required(
        having<Pick<Device, 'load'>>('a Device of openDevice', 'load'),
        'The device that computes.',
      ),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
      onBatch: optional(callback<(done: number) => void>(), 'none', 'Called after each batch.'),
    }),
    'What to measure.',
  ),
});

/**
 * Runs a net's TRAIN phase forward over batches and averages the statistics of each BatchNorm: the float32 statistics of the
 * batches are added in float64, in the order of the batches. Learned parameters stay unchanged, and so does a BatchNorm with
 * `use_global_stats: true`.
 * @returns Weights in which BatchNorm's blobs are mean, variance and a factor of 1.
 * @throws GraphError if no layer has batch statistics; ArgumentError; the errors of Device.load, Model.run and the source
 */
export async function averageStatistics(options: StatisticsOptions): Promise<Statistics> {
  AVERAGE_STATISTICS.check(options);
  const { weights, source, onBatch } = options;
  const sums = new StatisticsSums(layersOf(options));
  for await (const batch of batchStatistics({ ...options, rank: 0, ranks: 1 })) {
    sums.add(batch);
    onBatch?.(sums.batches);
  }
  return sums.statistics(weights, source);
}

/** The statistics of one batch, layer after layer: mean and unbiased variance per channel. */
export type BatchStatistics = readonly Float32Array[];

/** What to measure, as in `averageStatistics`; several processes may share the batches. */
export interface MeasureOptions extends Omit<StatisticsOptions, 'onBatch'> {
  /**
   * The rank of this process among `ranks`, of which each has every `ranks`th batch; `iterations` and the source are its
   * own.
   */
  readonly rank: number;
  readonly ranks: number;
}

/**
 * The names of the layers with batch statistics.
 * @throws GraphError if there is none
 */
export function layersOf({ net, level = 0, stages = [] }: Pick<MeasureOptions, 'net' | 'level' | 'stages'>) {
  const filtered = filterNet(net, { phase: 'TRAIN', level, stages });
  const names = (filtered.layer ?? []).filter(hasBatchStatistics).map(({ name }) => name ?? '');
  if (names.length > 0) return names;
  throw new GraphError(
    'graph/no-batch-norm',
    {},
    'no BatchNorm layer has batch statistics in phase TRAIN; remove use_global_stats: true to measure new ones',
  );
}

/**
 * Yields the statistics of each BatchNorm for one batch after another.
 * @throws as `averageStatistics`
 */
export async function* batchStatistics(options: MeasureOptions): AsyncGenerator<BatchStatistics> {
  const { net, level = 0, stages = [], weights, match = {}, source, iterations, device, signal } = options;
  const { rank, ranks } = options;
  const names = layersOf(options);
  // With a fraction of 0 Caffe's update keeps only the statistics of the last batch: μ and σ²·m/(m − 1).
  using model = await device.load({
    model: forgetting(net),
    phase: 'TRAIN',
    level,
    stages,
    inputShapes: source.shapes,
    ...match,
    weights: {
      ...weights,
      layers: weights.layers.map((layer) => (names.includes(layer.name) ? emptied(layer) : layer)),
    },
  });
  model.skipRuns(rank);
  for (let i = 0; i < iterations; i++) {
    const batch = await source.next(signal);
    await model.run(batch, {
      ...(signal === undefined ? {} : { signal }),
      copyInputs: source.recycle === undefined,
    });
    model.skipRuns(ranks - 1);
    source.recycle?.(batch);
    const read = names.flatMap((name) => [0, 1].map(async (blob) => (await model.parameter(name, blob))!));
    yield await Promise.all(read);
  }
}

/** Averages the statistics of batches, which are added in order. */
export class StatisticsSums {
  readonly #names: readonly string[];
  #sums: readonly Float64Array[] = [];
  #batches = 0;

  /** @param names The result of `layersOf`. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  get batches(): number {
    return this.#batches;
  }

  add(batch: BatchStatistics): void {
    if (this.#batches === 0) this.#sums = batch.map(({ length }) => new Float64Array(length));
    for (const [i, values] of batch.entries()) {
      const sum = this.#sums[i]!;
      for (let channel = 0; channel < sum.length; channel++) sum[channel]! += values[channel]!;
    }
    this.#batches++;
  }

  /**
   * Returns the weights with the averaged statistics.
   * @param weights The weights that were measured.
   * @param source The source of the batches.
   */
  statistics(weights: WeightsFile, { shapes }: Pick<DataSource, 'shapes'>): Statistics {
    const measured = new Map<string, WeightsLayer>();
    for (const [i, name] of this.#names.entries()) {
      const averages = this.#sums
        .slice(2 * i, 2 * i + 2)
        .map((sum) => Float32Array.from(sum, (value) => value / this.#batches));
      const blobs = [...averages, Float32Array.of(1)].map((values) =>
        blobFromFloats([values.length], values),
      );
      measured.set(name, { name, type: 'BatchNorm', blobs });
    }
    const layers = weights.layers.map((layer) => measured.get(layer.name) ?? layer);
    const known = new Set(layers.map(({ name }) => name));
    const added = [...measured.values()].filter(({ name }) => !known.has(name));
    const batch = Object.values(shapes)[0]?.[0] ?? 1;
    return {
      weights: { ...weights, layers: [...layers, ...added] },
      layers: this.#names,
      samples: this.#batches * batch,
    };
  }
}

const hasBatchStatistics = ({ type, batch_norm_param }: LayerParameter): boolean =>
  type === 'BatchNorm' && batch_norm_param?.use_global_stats !== true;

function forgetting(net: NetParameter): NetParameter {
  const layer = (net.layer ?? []).map((each) => {
    if (!hasBatchStatistics(each)) return each;
    const changed = { ...each, batch_norm_param: { ...each.batch_norm_param, moving_average_fraction: 0 } };
    inheritPosition(changed, each);
    return changed;
  });
  return { ...net, layer };
}

const emptied = (layer: WeightsLayer): WeightsLayer => ({
  ...layer,
  blobs: layer.blobs.map(({ shape }): Blob => blobFromFloats(shape, new Float32Array(elementCount(shape)))),
});
