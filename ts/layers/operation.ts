/** What layers become: operations, and the parameters that they name. */
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
  /** What fills it where no weights are given; Caffe's FillerParameter. */
  readonly filler: Filler;
  /** Changed by a forward pass: BatchNorm's three blobs where batch statistics are used. */
  readonly mutable: boolean;
  /** ParamSpec lr_mult, with Caffe's rules for BatchNorm and for shared blobs. 0: it does not learn. */
  readonly lrMult: number;
  readonly decayMult: number;
  /** All places where the net has it: its own, then those that share it by `param { name }`. */
  readonly places: readonly { readonly layer: string; readonly index: number }[];
}

/** caffe.proto FillerParameter, complete with defaults. */
export interface Filler {
  readonly type: 'constant' | 'gaussian' | 'positive_unitball' | 'uniform' | 'xavier' | 'msra' | 'bilinear';
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly sparse: number;
  readonly variance_norm: 'FAN_IN' | 'FAN_OUT' | 'AVERAGE';
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

/**
 * What a node computes: a kind of operations/schema.ts, whose parameters are the net's own blobs, folds not yet
 * resolved. Inputs and outputs are positional; parameters are named.
 */
export type Operation =
  /** `affine` is applied behind the bias and folded into weights and bias when they are packed. */
  | (Kinds.Convolution & { readonly affine: readonly AffineStep[] })
  /** Per-channel affine over axis 1: BatchNorm with global statistics, Scale and Bias, alone or merged. */
  | {
      readonly kind: 'affine';
      readonly affine: readonly AffineStep[];
      readonly relu: FusedRelu | null;
    }
  /** With the batch's own statistics; what training fuses into it stands behind it. */
  | Pick<Kinds.BatchNorm, 'kind' | 'mean' | 'variance' | 'factor' | 'eps' | 'movingAverageFraction'>
  /** Where the scale or the bias is a second input, or the axis is not 1. */
  | Omit<Kinds.Scale, 'relu'>
  /** Phase TRAIN. */
  | Pick<Kinds.Dropout, 'kind' | 'ratio'>
  /** What stands in a file, a BlobProto, which lies in the working folder or beside the net's. */
  | { readonly kind: 'file'; readonly file: string; readonly net: string }
  /** What `remember` kept when the net last ran, zeros at first; by the name that both give it. */
  | { readonly kind: 'recall'; readonly memory: string }
  /** Its first input. All inputs are kept for the next run, under as many names. */
  | { readonly kind: 'remember'; readonly memories: readonly string[] }
  /** A layer that is a function in JavaScript. */
  | { readonly kind: 'hostFunction'; readonly function: HostFunction }
  | Pick<Kinds.StochasticPooling, 'kind' | 'kernel' | 'stride' | 'draws'>
  /** The identity at inference; what becomes of Dropout in phase TEST and of Split. Removed by the first pass. */
  | { readonly kind: 'identity' }
  | Exclude<
      Kinds.OperationAttributes,
      // Other here, or only in training programs.
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
