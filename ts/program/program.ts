/**
 * What crosses the border to native code: plain data, no functions, no prototxt. One Program is compiled
 * once per device and input shape and run many times. native/core/program.h is the same in C++; change both.
 */
import type { FusedRelu, Pair } from '../graph/graph.ts';

export type TensorId = number;
export type ProgramParameterId = number;

/** A float32 tensor as the user would see it, row-major. Layout and padding are the backend's affair. */
export interface ProgramTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A parameter as the kernels want it: after folding, before the backend's own reordering. */
export interface ProgramParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Written by batchNorm or update while they run; kept with the parameters, shared by all programs of a model. */
  readonly mutable: boolean;
}

/** The kinds and their inputs, outputs and meaning are those of graph.ts, with folds resolved. */
export type ProgramOperation = {
  /** The layer's name, for errors and timings. */
  readonly layer: string;
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
  /** Whether a diff goes down to each input, where the layer says so; for differentiate.ts alone. */
  readonly propagateDown?: readonly boolean[];
} & (
  | {
      readonly kind: 'convolution';
      readonly weights: ProgramParameterId;
      readonly bias: ProgramParameterId | null;
      readonly kernel: Pair;
      readonly stride: Pair;
      readonly pad: Pair;
      readonly dilation: Pair;
      readonly group: number;
      readonly relu: FusedRelu | null;
    }
  | {
      readonly kind: 'innerProduct';
      readonly weights: ProgramParameterId;
      readonly bias: ProgramParameterId | null;
      readonly axis: number;
      readonly numOutput: number;
      readonly transpose: boolean;
      readonly relu: FusedRelu | null;
    }
  /** Also what `affine` becomes: outer = N, channels = C, inner = H·W, scale and bias computed at packing. */
  | {
      readonly kind: 'scale';
      readonly operand: 'none' | 'scale' | 'bias';
      readonly scale: ProgramParameterId | null;
      readonly bias: ProgramParameterId | null;
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
      readonly relu: FusedRelu | null;
    }
  /**
   * y = relu(gamma · (x − mean) / √(variance + eps) + beta) over axis 1. outputs: y, or y and the mean and the biased
   * variance [C] that it used, which its gradient reads.
   */
  | {
      readonly kind: 'batchNorm';
      readonly mean: ProgramParameterId;
      readonly variance: ProgramParameterId;
      readonly factor: ProgramParameterId;
      readonly eps: number;
      readonly movingAverageFraction: number;
      /** `batch`: of this batch; `global`: the parameters, divided by the factor. */
      readonly statistics: 'batch' | 'global';
      /** Whether batch statistics go into the running sums; false where a forward pass is computed again. */
      readonly update: boolean;
      /** Batch statistics are those of all processes that train together, whose batches are equally large. */
      readonly synchronised: boolean;
      /** The Scale layer behind it, learned. */
      readonly scale: ProgramParameterId | null;
      readonly bias: ProgramParameterId | null;
      readonly relu: FusedRelu | null;
    }
  | { readonly kind: 'relu'; readonly negativeSlope: number }
  | { readonly kind: 'elu'; readonly alpha: number }
  | { readonly kind: 'sigmoid' }
  | { readonly kind: 'tanh' }
  | { readonly kind: 'absval' }
  | { readonly kind: 'power'; readonly power: number; readonly scale: number; readonly shift: number }
  | { readonly kind: 'prelu'; readonly slope: ProgramParameterId; readonly channelShared: boolean }
  /**
   * inputs: x and the pass [iteration, pass of the iteration], each an integer below 2^24. What becomes 0 is a function
   * of seed, stream (which of the net's dropouts), rank, iteration, pass and place alone (Philox4x32-10): a run that is
   * resumed draws what the whole one would have, and the backward pass draws again what the forward pass drew.
   */
  | {
      readonly kind: 'dropout';
      readonly ratio: number;
      /** The net's random_seed. 32 bits, as the next two. */
      readonly seed: number;
      readonly stream: number;
      /** Of the processes that train together. */
      readonly rank: number;
    }
  | {
      readonly kind: 'eltwise';
      readonly operation: 'sum' | 'prod' | 'max';
      readonly coefficients: readonly number[];
      readonly stableProdGrad: boolean;
      readonly relu: FusedRelu | null;
    }
  | {
      readonly kind: 'pooling';
      readonly method: 'max' | 'average';
      readonly kernel: Pair;
      readonly stride: Pair;
      readonly pad: Pair;
    }
  | { readonly kind: 'softmax'; readonly outer: number; readonly channels: number; readonly inner: number }
  | {
      readonly kind: 'softmaxLoss';
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
      readonly ignoreLabel: number | null;
      readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
    }
  | { readonly kind: 'euclideanLoss' }
  | {
      readonly kind: 'accuracy';
      readonly topK: number;
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
      readonly ignoreLabel: number | null;
    }
  | { readonly kind: 'concat'; readonly axis: number }
  | { readonly kind: 'slice'; readonly axis: number }
  | { readonly kind: 'reshape' }
  | {
      readonly kind: 'lrn';
      readonly region: 'across' | 'within';
      readonly size: number;
      readonly alpha: number;
      readonly beta: number;
      readonly k: number;
    }
  /**
   * The gradient of the operation at index `of`; an id of −1 stands for a tensor that is not there.
   * inputs: what that operation read (or the same, computed again), what it made, and the diffs of what it made, each
   * −1 where it is not needed or has none. outputs: the diffs of its inputs, then of its parameters in the order
   * weights, bias (convolution, innerProduct), scale, bias (scale, batchNorm), slope (prelu), a place for each whether
   * there is one or not; −1 where nobody asks.
   */
  | { readonly kind: 'gradient'; readonly of: number }
  /**
   * Each input's mean over all processes that train together; this process's own values where there are no others.
   * inputs: diffs, −1 where there is none; outputs: one an input, made in its memory where the device can.
   */
  | { readonly kind: 'allMean' }
  /**
   * Caffe's SGDSolver::ApplyUpdate over all learnable parameters, in place: clip, normalise, regularise, rule.
   * inputs: the schedule [rate, iteration from 0, first, last], then one diff a parameter (−1: it has none and counts
   * as 0), then losses. `first` ≠ 0 empties the accumulators before the diffs are added, `last` = 0 ends after that; a
   * parameter without an accumulator needs both set. Where a loss is not finite nothing is updated (Caffe would make
   * every weight NaN): so the weights are still there that the fault can be looked for with. outputs: none, or one [1]
   * that is 1 where the last pass's diffs (accumulated ones together) are not finite, which updates nothing then, else 0.
   */
  | {
      readonly kind: 'update';
      readonly rule: 'sgd' | 'nesterov' | 'adagrad' | 'rmsprop' | 'adadelta' | 'adam';
      readonly momentum: number;
      readonly momentum2: number;
      readonly delta: number;
      readonly rmsDecay: number;
      /** The greatest L2 norm of all diffs together; null: any. */
      readonly clipGradients: number | null;
      readonly iterSize: number;
      /** Diffs, and what accumulates, are so many times what they should be. */
      readonly lossScale: number;
      readonly weightDecay: number;
      readonly regularization: 'L1' | 'L2';
      readonly parameters: readonly {
        readonly parameter: ProgramParameterId;
        /** Adam and AdaDelta have a second one. */
        readonly history: readonly ProgramParameterId[];
        /** Sums diffs over `iterSize` runs. */
        readonly accumulator: ProgramParameterId | null;
        readonly lrMult: number;
        readonly decayMult: number;
      }[];
    }
);

export interface Program {
  readonly name: string;
  readonly tensors: readonly ProgramTensor[];
  readonly parameters: readonly ProgramParameter[];
  readonly operations: readonly ProgramOperation[];
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
}

/** The bytes of one parameter: little-endian, any alignment, usually a view of the mapped weights file. */
export interface ParameterData {
  readonly bytes: Uint8Array;
  readonly dtype: 'float32' | 'float64';
  /**
   * One factor per index of axis 0, multiplied in float64 and rounded once while packing:
   * how BatchNorm and Scale get into a convolution's weights without a second copy of them.
   */
  readonly channelScale: Float64Array | null;
}
