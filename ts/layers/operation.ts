/** The operations that layers become, and their parameters. */
import type * as Kinds from '../operations/operations.ts';
import type { HostFunction } from './javascript.ts';

export type Pair = Kinds.Pair;
export type FusedRelu = Kinds.FusedRelu;

/** Index into `Graph.parameters`. */
export type ParameterId = number;

/** One learnable (or statistics) blob of the net, as the caffemodel names it: layer and index. */
export interface Parameter {
  readonly layer: string;
  readonly index: number;
  readonly shape: readonly number[];
  /** The filler if no weights are given; Caffe's FillerParameter. */
  readonly filler: Filler;
  /** Whether a forward pass changes it: BatchNorm's three blobs if batch statistics are used. */
  readonly mutable: boolean;
  /** Whether its layer does not read it. */
  readonly unread?: true;
  /** ParamSpec lr_mult, with Caffe's rules for BatchNorm and for shared blobs. 0: no learning. */
  readonly lrMult: number;
  readonly decayMult: number;
  /** All its positions in the net: its own, then those that share it by `param { name }`. */
  readonly places: readonly { readonly layer: string; readonly index: number }[];
}

/** caffe.proto FillerParameter, complete with defaults. */
export interface Filler {
  readonly type:
    | 'constant'
    | 'gaussian'
    | 'positive_unitball'
    | 'uniform'
    | 'xavier'
    | 'msra'
    | 'bilinear'
    | 'diagonal';
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly sparse: number;
  readonly variance_norm: 'FAN_IN' | 'FAN_OUT' | 'AVERAGE';
  readonly diag_val?: readonly number[];
}

/**
 * One per-channel affine step, y = a·x + b over axis 1:
 * BatchNorm with global statistics (a = 1/√(variance/factor + eps), b = −a·mean/factor; a factor of 0 makes
 * mean and variance 0), or Scale/Bias with learned gamma and beta.
 */
export type AffineStep =
  | {
      readonly kind: 'batchNorm';
      readonly mean: ParameterId;
      readonly variance: ParameterId;
      /** Null: 1. */
      readonly factor: ParameterId | null;
      readonly eps: number;
      /** Synopsys's fork may add eps to the deviation: a = 1/(√(variance/factor) + eps). */
      readonly epsOnDeviation?: true;
    }
  | { readonly kind: 'scale'; readonly gamma: ParameterId | null; readonly beta: ParameterId | null };

/** For a convolution or an inner product without an activation. */
export const unfused = { relu: null, clip: null, slopes: null } as const;

/** Whether an operation ends with an activation. */
export const isActivated = ({
  relu,
  clip = null,
  slopes = null,
}: {
  readonly relu: FusedRelu | null;
  readonly clip?: number | null;
  readonly slopes?: ParameterId | null;
}): boolean => relu !== null || clip !== null || slopes !== null;

/**
 * The operation of a node: a kind of operations/schema.ts, whose parameters are the net's own blobs before
 * folding. Inputs and outputs are positional; parameters are named.
 */
export type Operation =
  /** `affine` is applied after the bias. Packing folds it into weights and bias. */
  | (Kinds.Convolution & { readonly affine: readonly AffineStep[] })
  /** Per-channel affine over axis 1: BatchNorm with global statistics, Scale and Bias, alone or merged. */
  | {
      readonly kind: 'affine';
      readonly affine: readonly AffineStep[];
      readonly relu: FusedRelu | null;
    }
  /** With the batch's own statistics. Operations that training fuses into it follow it. */
  | Pick<Kinds.BatchNorm, 'kind' | 'mean' | 'variance' | 'factor' | 'eps' | 'movingAverageFraction'>
  /** For a scale or bias that is a second input, or an axis other than 1. */
  | Omit<Kinds.Scale, 'relu'>
  /** Phase TRAIN. */
  | Pick<Kinds.Dropout, 'kind' | 'ratio'>
  /** The content of a BlobProto file in the working folder or beside the net's file. */
  | { readonly kind: 'file'; readonly file: string; readonly net: string }
  /** The value that `remember` stored under the same name in the net's last run; zeros at first. */
  | { readonly kind: 'recall'; readonly memory: string }
  /** Returns its first input. All inputs are stored for the next run, each under a name. */
  | { readonly kind: 'remember'; readonly memories: readonly string[] }
  /** A layer that is a function in JavaScript. */
  | { readonly kind: 'hostFunction'; readonly function: HostFunction }
  | Pick<Kinds.StochasticPooling, 'kind' | 'kernel' | 'stride' | 'draws'>
  /** The identity at inference: Dropout in phase TEST, and Split. The first pass removes it. */
  | { readonly kind: 'identity' }
  | Exclude<
      Kinds.OperationAttributes,
      // These differ here, or are only in training programs.
      {
        kind:
          | 'convolution'
          | 'batchNorm'
          | 'scale'
          | 'dropout'
          | 'remember'
          | 'stochasticPooling'
          | 'hostFunction'
          | 'gradient'
          | 'sumBehindRelu'
          | 'allMean'
          | 'update';
      }
    >;
