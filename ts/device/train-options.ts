/** The options of `Device.train`, their checks, and the histories that training starts with. */

import { ArgumentError } from '../base/errors.ts';
import {
  boolean,
  either,
  instance,
  integer,
  type Kind,
  list,
  nullOr,
  number,
  oneOf,
  string,
} from '../base/kinds.ts';
import { optional, options, required } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import type { MatchOptions } from '../caffe/match-weights.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { CompleteUpdateRule, UpdateRule } from '../gradient/append-update.ts';
import type { LoweredTraining, LowerTrainingOptions } from '../gradient/lower-training.ts';
import type { ParameterData } from '../operations/program.ts';
import { matchRows, type NetOptions, netRows, weightsSource } from './load-options.ts';
import { LossScale } from './loss-scale.ts';

export type { TrainPrecision } from '../gradient/training-precision.ts';

export interface TrainOptions
  extends NetOptions,
    Omit<LowerTrainingOptions, 'rank' | 'sparesTraffic' | 'inputShapes' | 'update'>,
    Pick<MatchOptions, 'reshapeWeights'> {
  /**
   * How the diffs update the weights: fields of a SolverParameter, with Caffe's defaults. Null: no update; `gradients`
   * returns the diffs.
   */
  readonly update: UpdateRule | null;
  /**
   * Decides which statistics BatchNorm uses, whether Dropout drops values, and which layers exist. Default: the net's own
   * state, else TRAIN.
   */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Matched by layer name as in `load`; layers that are missing start from their fillers, but at least one must match. */
  readonly weights?: Required<NetOptions>['weights'];
  /** Also accepts weights of which no layer matches. Default false. */
  readonly partialWeights?: boolean;
}

/** Options whose update is complete. */
export type CompleteTrainOptions = TrainOptions & Pick<LowerTrainingOptions, 'update'>;

/** Adds Caffe's defaults (caffe.proto, SolverParameter). */
export function completeUpdate(rule: UpdateRule): CompleteUpdateRule {
  const caffe = withDefaults<CompleteUpdateRule>('SolverParameter', undefined);
  const { momentum2, delta, rms_decay, iter_size, regularization_type } = caffe;
  const given = Object.entries(rule).filter(([, value]) => value !== undefined);
  return {
    ...{ momentum: 0, momentum2, delta, rms_decay, clip_gradients: null },
    ...{ iter_size, weight_decay: 0, regularization_type },
    ...(Object.fromEntries(given) as unknown as UpdateRule),
  } as CompleteUpdateRule;
}

export const withCompleteUpdate = <T extends Pick<TrainOptions, 'update'>>(options: T) => ({
  ...options,
  update: options.update === null ? null : completeUpdate(options.update),
});

const updateRule: Kind<UpdateRule> = options<UpdateRule>({
  type: required(
    oneOf('SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam', 'AdamW', 'LARS'),
    "The type of Caffe's solver, or an extension.",
  ),
  momentum: optional(number(), '0', "Caffe's momentum."),
  momentum2: optional(number(), '0.999', "Adam's second momentum."),
  delta: optional(number(), '1e-8', 'The delta of AdaGrad, RMSProp, AdaDelta and Adam.'),
  rms_decay: optional(number(), '0.99', 'The rms_decay of RMSProp.'),
  clip_gradients: optional(
    nullOr(number({ from: 0 })),
    'null',
    'The largest L2 norm of all diffs; null: no limit.',
  ),
  iter_size: optional(integer(1), '1', 'The number of passes per update.'),
  weight_decay: optional(number(), '0', 'The weight decay, before decay_mult.'),
  regularization_type: optional(oneOf('L1', 'L2'), 'L2', 'The norm that weight decay penalises.'),
  momentum_convention: optional(
    oneOf('caffe', 'dampened'),
    'caffe',
    "SGD's momentum: `dampened` keeps a mean of gradients, as Torch and CNTK do.",
  ),
  lars_trust: optional(number({ above: 0 }), '0.001', "LARS's trust coefficient."),
  ema_decay: optional(number({ from: 0, to: 1 }), '0: none', 'The decay of an average of the weights.'),
});

/** Options that a Solver passes on. */
export const solverRows = {
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16'),
    'float32',
    'The type in which feature maps and their diffs are stored and multiplied. All types but float32 need a CUDA device.',
  ),
  lossScale: optional(
    either(number({ above: 0 }), oneOf('dynamic')),
    '1024 in float16, else 1',
    'The factor by which the backward pass scales diffs; dynamic finds the largest that 16 bits allow.',
  ),
  recompute: optional(
    boolean,
    'false',
    'Computes activations a second time in the backward pass, which saves memory and takes longer.',
  ),
  synchronisedBatchNorm: optional(
    boolean,
    'false',
    "Computes BatchNorm's statistics over the batches of all processes.",
  ),
};

const planRows = {
  ...netRows,
  phase: optional(oneOf('TRAIN', 'TEST'), 'TRAIN', 'The phase that selects layers.'),
  ...matchRows,
  update: required(
    nullOr(updateRule),
    'How the diffs update the weights; null: there is no update, and `gradients` returns the diffs.',
  ),
  outputs: optional(
    list(string, { of: 'blob names' }),
    'none',
    "Blobs that a step returns in addition to the net's outputs.",
  ),
  diffs: optional(
    list(string, { of: 'blob names' }),
    'none',
    'Blobs whose diffs `gradients` returns; only with update: null.',
  ),
  ...solverRows,
};

export const trainOptions = options<TrainOptions>({
  ...planRows,
  weights: optional(
    weightsSource,
    'the fillers',
    'The weights: a path, file: URL or bytes, or the result of a reader.',
  ),
  history: optional(
    list(instance('a Float32Array', Float32Array), { of: 'Float32Arrays' }),
    'zeros',
    'The histories of a .solverstate, in its order.',
  ),
  averages: optional(
    list(instance('a Float32Array', Float32Array), { of: 'Float32Arrays' }),
    'the weights',
    'Averages of the weights to resume from, one per learnable blob.',
  ),
});

export const planTrainingOptions = options<Omit<TrainOptions, 'weights' | 'history' | 'averages'>>(planRows);

/**
 * Checks of combinations of options.
 * @throws ArgumentError
 */
export function checkTrainOptions(options: Omit<TrainOptions, 'model'>): void {
  const { update, history, averages, diffs } = options;
  LossScale.check(options);
  if (update?.momentum_convention === 'dampened' && update.type !== 'SGD')
    throw new ArgumentError('update.momentum_convention', '"caffe" unless the type is SGD', update.type);
  if (averages !== undefined && !update?.ema_decay)
    throw new ArgumentError('averages', 'none without an ema_decay in the update', averages);
  if (update === null && history !== undefined)
    throw new ArgumentError('history', 'none if update is null', history);
  if (update !== null && diffs !== undefined) throw new ArgumentError('diffs', 'none with an update', diffs);
}

/**
 * The parameters' bytes with given averages inserted.
 * @throws ArgumentError if they do not fit
 */
export function withAverages(
  data: readonly (ParameterData | null)[],
  { learnable, averages }: Pick<LoweredTraining, 'learnable' | 'averages'>,
  given: TrainOptions['averages'],
): (ParameterData | null)[] {
  const result = [...data];
  if (given === undefined) return result;
  for (const [i, { layer, index, shape }] of learnable.entries()) {
    const values = given[i];
    if (values?.length !== elementCount(shape))
      throw new ArgumentError(
        `the average of layer "${layer}", blob ${index}`,
        `a Float32Array of ${elementCount(shape)} values`,
        values,
      );
    const id = averages[i] ?? null;
    if (id === null) continue;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    result[id] = { bytes, dtype: 'float32', channelScale: null };
  }
  return result;
}

/**
 * The parameters' bytes with the history of a .solverstate inserted.
 * @throws ArgumentError if it does not fit
 */
export function withHistory(
  data: readonly (ParameterData | null)[],
  { learnable, history }: Pick<LoweredTraining, 'learnable' | 'history'>,
  given: TrainOptions['history'],
): (ParameterData | null)[] {
  const result = [...data];
  if (given === undefined) return result;
  const slots = history.find((each) => each !== null)?.length ?? 1;
  if (given.length !== slots * learnable.length)
    throw new ArgumentError(
      'history',
      `${slots * learnable.length} arrays, ${slots} for each of the net's ${learnable.length} learnable blobs`,
      `${given.length}`,
    );
  given.forEach((values, i) => {
    const { layer, index, shape } = learnable[i % learnable.length]!;
    if (!(values instanceof Float32Array) || values.length !== elementCount(shape))
      throw new ArgumentError(
        `the history of layer "${layer}", blob ${index}`,
        `a Float32Array of ${elementCount(shape)} values`,
        values,
      );
    const id = history[i % learnable.length]?.[Math.floor(i / learnable.length)];
    if (id === undefined) return;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    result[id] = { bytes, dtype: 'float32', channelScale: null };
  });
  return result;
}
