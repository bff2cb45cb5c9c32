/**
 * The context in which the rules of from-onnx convert one node: its inputs as values or constants, and the layers so far.
 */
import type { Blob } from '../caffe/blob.ts';
import type { WeightsLayer } from '../caffe/caffemodel.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { OnnxNode, OnnxTensor } from './onnx-proto.ts';

/** Values that are not ordinary floats. */
export type Held = 'truncated' | 'places' | 'truth' | 'selected';

/** A value while the net is converted. */
export interface Activation {
  readonly name: string;
  readonly shape: readonly number[];
  /** Zeros that a Pad node put on every side of height and width. The layer that reads the value adds them itself. */
  readonly zeros: readonly [number, number];
  /**
   * The meaning of a value that is not an ordinary float. `truncated`: integers that a Cast makes. `places`: positions of
   * maxima, which ONNX counts over the whole blob and the mask counts in planes. `truth`: tests whether values are 0.
   * `selected`: the indices of items that are not 0, where the value is the input of NonZero. Default: ordinary floats.
   */
  readonly holds?: Held;
  /** For `places`: the number of positions in a plane before pooling. */
  readonly plane?: number;
}

/** What an operator's rule converts with. */
export interface NodeContext {
  readonly node: OnnxNode;
  readonly opset: number;
  readonly inputCount: number;
  integer(name: string, missing: number): number;
  integers(name: string): readonly number[] | null;
  float(name: string, missing: number): number;
  text(name: string, missing: string): string;
  tensor(name: string): OnnxTensor | null;
  /** The constant at an input; null if the input is absent or computed. */
  constant(input: number): OnnxTensor | null;
  /**
   * The computed value at an input.
   * @param options.takesZeros The rule can add the zeros of a Pad itself.
   */
  activation(
    input: number,
    options?: { readonly takesZeros?: boolean; readonly takes?: Held | readonly Held[] },
  ): Activation;
  /** Whether an input is computed by the net. */
  isComputed(input: number): boolean;
  /**
   * Adds a layer between the node's inputs and its output.
   * @param layer Without a name, bottom and top.
   * @returns The value that it makes
   */
  step(
    bottoms: readonly Activation[],
    layer: LayerParameter & { type: string },
    blobs?: readonly Blob[],
  ): Activation;
  /** Adds the last layer, which makes the node's output. */
  last(
    bottoms: readonly Activation[],
    layer: LayerParameter & { type: string },
    blobs?: readonly Blob[],
  ): void;
  /** Selects positions `from` to before `to` of an axis, by Slice. */
  part(value: Activation, axis: number, from: number, to: number): Activation;
  /** Records the meaning of the node's output, or of another value. */
  holds(what: Activation['holds'], output?: number, plane?: number): void;
  /** A name for a layer: that of its weights (`conv1.weight`), or else the node's. */
  layerName(constant?: OnnxTensor | null): string;
  /** Adds a layer. By default its bottom is the first input, and its tops are the node's outputs. */
  layer(layer: LayerParameter & { name: string; type: string }, blobs?: readonly Blob[]): void;
  /** The last layer if it makes `value` only for this node, so that this node may extend it; otherwise null. */
  previous(value: Activation): { layer: LayerParameter; weights: WeightsLayer | null } | null;
  /** Replaces the last layer by another one with other blobs. Its top is the node's output. */
  replacePrevious(layer: LayerParameter, blobs: readonly Blob[]): void;
  /** Whether a node reads an output of this one, or the model has it as an output. */
  isRead(output: number): boolean;
  /** Makes one of the node's outputs another name of a value. */
  output(output: number, value: Activation): void;
  /** Makes the node's output another name of a value. */
  alias(activation: Activation): void;
  /** Makes the node's output a constant. */
  define(constant: OnnxTensor): void;
  isOutput(name: string): boolean;
  fail(reason: string): never;
}
