/**
 * The net as a graph in single-assignment form: Caffe's in-place layers become new values, so that a pass
 * never has to ask who wrote a blob last. Knows nothing of prototxt; from-caffe.ts makes it.
 */
import { having, instance, integer, type Kind, list, string } from '../base/kinds.ts';
import { fields, required } from '../base/options.ts';
import type { Position } from '../errors.ts';
import type * as Kinds from '../operations/operations.ts';

export type Pair = Kinds.Pair;
export type FusedRelu = Kinds.FusedRelu;

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
  /** The identity at inference; what becomes of Dropout in phase TEST and of Split. Removed by the first pass. */
  | { readonly kind: 'identity' }
  | Exclude<
      Kinds.OperationAttributes,
      // Other here, or only in training programs.
      { kind: 'convolution' | 'batchNorm' | 'scale' | 'dropout' | 'gradient' | 'allMean' | 'update' }
    >;

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
