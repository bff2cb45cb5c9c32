/**
 * The net as a graph in single-assignment form: Caffe's in-place layers become new values, so that a pass
 * never has to ask who wrote a blob last. Knows nothing of prototxt; from-caffe.ts makes it.
 */
import { having, instance, integer, type Kind, list, string } from '../base/kinds.ts';
import { fields, required } from '../base/options.ts';
import type { Position } from '../errors.ts';

/** Index into `Graph.values`. */
export type ValueId = number;
/** Index into `Graph.parameters`. */
export type ParameterId = number;

/** One tensor: Caffe's blob `blob` as it stands right after `layer` ran. float32, row-major (N×C×H×W). */
export interface Value {
  readonly blob: string;
  /** The layer that made it; for a net input the layer (or the legacy `input`) that declares it. */
  readonly layer: string;
  readonly shape: readonly number[];
}

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

/** y = max(x, 0) + negativeSlope · min(x, 0), as the last step of another operation. */
export interface FusedRelu {
  readonly negativeSlope: number;
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
      readonly factor: ParameterId;
      readonly eps: number;
    }
  | { readonly kind: 'scale'; readonly gamma: ParameterId | null; readonly beta: ParameterId | null };

export type Pair = readonly [height: number, width: number];

/**
 * What a node computes. Inputs and outputs are positional and listed with each kind; parameters are named.
 * `outer`, `channels`, `inner` factor a shape around an axis: [outer…, channels…, inner…].
 */
export type Operation =
  /**
   * 2-D cross-correlation, output size rounded down. inputs: x, or x and a residual that is added after the
   * bias and before the ReLU. weights [num_output, C/group, kh, kw], bias [num_output].
   * `affine` is applied after the bias and folded into weights and bias when they are packed.
   */
  | {
      readonly kind: 'convolution';
      readonly weights: ParameterId;
      readonly bias: ParameterId | null;
      readonly affine: readonly AffineStep[];
      readonly kernel: Pair;
      readonly stride: Pair;
      readonly pad: Pair;
      readonly dilation: Pair;
      readonly group: number;
      readonly relu: FusedRelu | null;
    }
  /**
   * y[m, n] = Σk x[m, k]·w[n, k] + bias[n], x flattened from `axis`. weights [N, K], or [K, N] with transpose.
   */
  | {
      readonly kind: 'innerProduct';
      readonly weights: ParameterId;
      readonly bias: ParameterId | null;
      readonly axis: number;
      readonly numOutput: number;
      readonly transpose: boolean;
      readonly relu: FusedRelu | null;
    }
  /** Per-channel affine over axis 1: BatchNorm with global statistics, Scale and Bias, alone or merged. */
  | { readonly kind: 'affine'; readonly affine: readonly AffineStep[]; readonly relu: FusedRelu | null }
  /** BatchNorm with the batch's own statistics; updates its three parameters (Caffe's running sums). */
  | {
      readonly kind: 'batchNorm';
      readonly mean: ParameterId;
      readonly variance: ParameterId;
      readonly factor: ParameterId;
      readonly eps: number;
      readonly movingAverageFraction: number;
    }
  /**
   * Scale or Bias in general position: y[o, c, i] = x[o, c, i]·scale[c] + bias[c].
   * inputs: x, then the scale (or, for Bias, the bias) where it is a second bottom: `operand` says which.
   */
  | {
      readonly kind: 'scale';
      readonly operand: 'none' | 'scale' | 'bias';
      readonly scale: ParameterId | null;
      readonly bias: ParameterId | null;
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
    }
  /** Elementwise functions of one input, Caffe's definitions. power: (shift + scale·x)^power. */
  | { readonly kind: 'relu'; readonly negativeSlope: number }
  | { readonly kind: 'elu'; readonly alpha: number }
  | { readonly kind: 'sigmoid' }
  | { readonly kind: 'tanh' }
  | { readonly kind: 'absval' }
  | { readonly kind: 'power'; readonly power: number; readonly scale: number; readonly shift: number }
  /** slope [C], or [] (one for all) with channelShared; channels on axis 1. */
  | { readonly kind: 'prelu'; readonly slope: ParameterId; readonly channelShared: boolean }
  /** Phase TRAIN: of its input, `ratio` (by chance) becomes 0 and the rest is divided by 1 − ratio. */
  | { readonly kind: 'dropout'; readonly ratio: number }
  /** n-ary; coefficients are for sum. Where inputs of max are equal the value is the same whichever wins. */
  | {
      readonly kind: 'eltwise';
      readonly operation: 'sum' | 'prod' | 'max';
      readonly coefficients: readonly number[];
      /** Of prod: the diff is the product of the other inputs; else the output over the input, NaN where that is 0. */
      readonly stableProdGrad: boolean;
      readonly relu: FusedRelu | null;
    }
  /**
   * outputs: y, or y and mask (max only: the index h·W + w of the maximum in its channel plane, as float).
   * The output's size is the value's shape (Caffe's ceil and clip rules are the shape rules' affair).
   * average divides by the window clipped to [−pad, size + pad): Caffe's rule.
   */
  | {
      readonly kind: 'pooling';
      readonly method: 'max' | 'average';
      readonly kernel: Pair;
      readonly stride: Pair;
      readonly pad: Pair;
    }
  | { readonly kind: 'softmax'; readonly outer: number; readonly channels: number; readonly inner: number }
  /** inputs: scores, label; outputs: loss (scalar, shape []), or loss and probability. */
  | {
      readonly kind: 'softmaxLoss';
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
      readonly ignoreLabel: number | null;
      readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
    }
  /** inputs: a, b; output: Σ(a − b)² / (2·N), N the first dimension. */
  | { readonly kind: 'euclideanLoss' }
  /** inputs: scores, label; outputs: accuracy (scalar), or accuracy and per-class accuracy [channels]. */
  | {
      readonly kind: 'accuracy';
      readonly topK: number;
      readonly outer: number;
      readonly channels: number;
      readonly inner: number;
      readonly ignoreLabel: number | null;
    }
  | { readonly kind: 'concat'; readonly axis: number }
  /** One output per slice, in order; sizes are the outputs' shapes. */
  | { readonly kind: 'slice'; readonly axis: number }
  /** Same elements, another shape: Flatten, Reshape. */
  | { readonly kind: 'reshape' }
  /**
   * x / (k + alpha/n · Σ x²)^beta. across: n = size channels; within: n = size², average-pooled with Caffe's
   * padding rule, and k = 1.
   */
  | {
      readonly kind: 'lrn';
      readonly region: 'across' | 'within';
      readonly size: number;
      readonly alpha: number;
      readonly beta: number;
      readonly k: number;
    }
  /** The identity at inference; what becomes of Dropout in phase TEST and of Split. Removed by the first pass. */
  | { readonly kind: 'identity' };

export interface Node {
  /** The layer's name; where layers were merged, the first one's. */
  readonly name: string;
  /** Caffe's layer type, for messages and tables. */
  readonly type: string;
  readonly position: Position | undefined;
  readonly operation: Operation;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  /** Whether a diff goes down to each input, where the layer says so (Caffe's propagate_down). */
  readonly propagateDown?: readonly boolean[];
  /** Names of the layers that passes merged into this node, in order of execution, `name` first. */
  readonly layers: readonly string[];
}

export interface Graph {
  readonly name: string;
  readonly values: readonly Value[];
  readonly parameters: readonly Parameter[];
  /** In an order in which every input is made before it is read. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueId[];
  /** What the caller will see; passes keep these exact. Names are given by `outputName`. */
  readonly outputs: readonly ValueId[];
  /** The last value of every blob, after all in-place layers: what Caffe's net.blobs shows at the end. */
  readonly blobs: ReadonlyMap<string, ValueId>;
  /** loss_weight per value (Caffe: 1 for the first top of a loss layer); the net's loss is Σ weight·Σ value. */
  readonly lossWeights: ReadonlyMap<ValueId, number>;
}

const ids = list(integer(0), { of: 'indices' });

/** @internal What graphFromCaffe and runPasses make. */
export const graph: Kind<Graph> = fields<Graph>('a Graph of graphFromCaffe', {
  name: required(string, "The net's name."),
  values: required(
    list(
      fields<Value>('a value, { blob, layer, shape }', {
        blob: required(string, "Caffe's blob."),
        layer: required(string, 'Which made it.'),
        shape: required(list(integer(0), { of: 'dimensions' }), 'N×C×H×W.'),
      }),
    ),
    'Tensors.',
  ),
  parameters: required(list(having<Parameter>('a parameter')), 'Learnable blobs.'),
  nodes: required(list(having<Node>('a node')), 'In order.'),
  inputs: required(ids, 'Into values.'),
  outputs: required(ids, 'Into values.'),
  blobs: required(instance<ReadonlyMap<string, ValueId>>('a Map', Map), 'Blob → its last value.'),
  lossWeights: required(instance<ReadonlyMap<ValueId, number>>('a Map', Map), 'Value → loss_weight.'),
});
