/**
 * The net as a graph in single-assignment form: Caffe's in-place layers become new values, so that a pass
 * never needs to find out which layer wrote a blob last. It does not depend on prototxt; from-caffe.ts makes it.
 */

import type { Position } from '../base/errors.ts';
import { boolean, having, instance, integer, type Kind, list, string } from '../base/kinds.ts';
import { fields, optional, required } from '../base/options.ts';
import type { Operation, Parameter } from '../layers/operation.ts';

/** Index into `Graph.values`. */
export type ValueId = number;

/** One tensor: Caffe's blob `blob` directly after `layer` ran. float32, row-major (N×C×H×W). */
export interface Value {
  readonly blob: string;
  /** The layer that made it. For a net input, the layer (or the legacy `input`) that declares it. */
  readonly layer: string;
  readonly shape: readonly number[];
  /** Only its first rows are valid. Their number is the number of rows of this value before those that are −1 throughout. */
  readonly rows?: ValueId;
  /** The value is not a blob of the net, but an intermediate value of a layer that consists of several operations. */
  readonly isPart?: true;
}

export interface Node {
  /** The layer's name. For merged layers, the first one's. */
  readonly name: string;
  /** Caffe's layer type, for messages and tables. */
  readonly type: string;
  readonly position: Position | undefined;
  readonly operation: Operation;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  /** Whether a diff goes down to each input, if the layer specifies it (Caffe's propagate_down). */
  readonly propagateDown?: readonly boolean[];
  /** Names of the layers that passes merged into this node, in order of execution, `name` first. */
  readonly layers: readonly string[];
}

/** The items that a Filter selects. Their indices are an input, which the runner of the net computes from the selector. */
export interface Selection {
  /** The layer's name. */
  readonly layer: string;
  readonly selector: ValueId;
  readonly indices: ValueId;
}

export interface Graph {
  readonly name: string;
  readonly values: readonly Value[];
  readonly parameters: readonly Parameter[];
  /** In an order in which each input is made before it is read. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueId[];
  /** Further inputs, in the order in which they are needed. */
  readonly selections: readonly Selection[];
  /** The values that the caller sees. Passes keep them exact. `outputName` gives their names. */
  readonly outputs: readonly ValueId[];
  /** The last value of every blob, after all in-place layers: what Caffe's net.blobs shows at the end. */
  readonly blobs: ReadonlyMap<string, ValueId>;
  /** loss_weight per value (Caffe: 1 for the first top of a loss layer); the net's loss is Σ weight·Σ value. */
  readonly lossWeights: ReadonlyMap<ValueId, number>;
}

/** Absent if it is false. */
const yes = boolean as Kind<true>;
const ids = list(integer(0), { of: 'indices' });

/** @internal The graphs that graphFromCaffe and runPasses make. */
export const graph: Kind<Graph> = fields<Graph>('a Graph of graphFromCaffe', {
  name: required(string, "The net's name."),
  values: required(
    list(
      fields<Value>('a value, { blob, layer, shape }', {
        blob: required(string, "Caffe's name of the blob."),
        layer: required(string, 'The layer that computes the value.'),
        shape: required(list(integer(0), { of: 'dimensions' }), 'The shape, e.g. N×C×H×W.'),
        rows: optional(integer(0), 'all rows count', 'The value that says how many of these rows count.'),
        isPart: optional(
          yes,
          'false',
          'Whether the value is an intermediate one inside a layer of several operations.',
        ),
      }),
    ),
    'The tensors.',
  ),
  parameters: required(list(having<Parameter>('a parameter')), 'The learnable blobs.'),
  nodes: required(list(having<Node>('a node')), 'The operations in order.'),
  inputs: required(ids, 'The inputs, as indices into values.'),
  selections: required(list(having<Selection>('a selection')), 'The selections of Filter layers.'),
  outputs: required(ids, 'The outputs, as indices into values.'),
  blobs: required(instance<ReadonlyMap<string, ValueId>>('a Map', Map), 'For each blob its last value.'),
  lossWeights: required(
    instance<ReadonlyMap<ValueId, number>>('a Map', Map),
    'For each value its loss_weight.',
  ),
});
