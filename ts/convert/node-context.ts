/** What the rules of from-onnx convert with: one node, its inputs as values or constants, and the layers so far. */
import type { Blob } from '../caffe/blob.ts';
import type { WeightsLayer } from '../caffe/caffemodel.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { OnnxNode, OnnxTensor } from './onnx-proto.ts';

/** What is no plain float. */
export type Held = 'truncated' | 'places' | 'truth' | 'selected';

/** A value while the net is converted. */
export interface Activation {
  readonly name: string;
  readonly shape: readonly number[];
  /** Zeros that a Pad node put on every side of height and width; whoever reads it takes them along. */
  readonly zeros: readonly [number, number];
  /**
   * What it stands for where that is no plain float: integers that a Cast cuts off its values (`truncated`), or places of a
   * maximum that ONNX counts over the whole blob, the mask in planes (`places`); whether its values are 0 (`truth`); or which
   * items are not 0 (`selected`), the value being what NonZero reads. Default: plain floats.
   */
  readonly holds?: Held;
  /** Of `places`: how many a plane of what was pooled has. */
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
  /** The constant at an input; null where the input is left out or computed. */
  constant(input: number): OnnxTensor | null;
  /** The computed value at an input. @param options.takesZeros The rule takes zeros of a Pad along. */
  activation(
    input: number,
    options?: { readonly takesZeros?: boolean; readonly takes?: Held | readonly Held[] },
  ): Activation;
  /** Whether an input is computed by the net. */
  isComputed(input: number): boolean;
  /**
   * Adds a layer on the way to the node's output.
   * @param layer Without a name, bottom and top.
   * @returns What it makes
   */
  step(
    bottoms: readonly Activation[],
    layer: LayerParameter & { type: string },
    blobs?: readonly Blob[],
  ): Activation;
  /** The same for the last layer, which makes the node's output. */
  last(
    bottoms: readonly Activation[],
    layer: LayerParameter & { type: string },
    blobs?: readonly Blob[],
  ): void;
  /** Places of an axis from `from` to before `to`, by Slice. */
  part(value: Activation, axis: number, from: number, to: number): Activation;
  /** Says of the node's output (or another one) what it holds. */
  holds(what: Activation['holds'], output?: number, plane?: number): void;
  /** A name for a layer, from that of its weights (`conv1.weight`), else the node's. */
  layerName(constant?: OnnxTensor | null): string;
  /** Adds a layer. Bottoms: default the first input; tops: default the node's outputs. */
  layer(layer: LayerParameter & { name: string; type: string }, blobs?: readonly Blob[]): void;
  /** The last layer, where it makes `value` for this node alone, so that it can be completed; else null. */
  previous(value: Activation): { layer: LayerParameter; weights: WeightsLayer | null } | null;
  /** Puts another layer, with other blobs, in the place of the last one; its top is the node's. */
  replacePrevious(layer: LayerParameter, blobs: readonly Blob[]): void;
  /** Whether anything reads an output of the node, or the model puts it out. */
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
