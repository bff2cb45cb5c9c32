/** Collects the nodes and initializers of an ONNX graph, layer by layer. */

import { GraphError } from '../base/errors.ts';
import { type Blob, toFloat32, toFloat64 } from '../caffe/blob.ts';
import type { Graph, Node } from '../graph/graph.ts';
import type { ParameterId } from '../layers/operation.ts';
import { Names } from './names.ts';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from './onnx-proto.ts';

/** The position of a parameter's values. */
export type BlobOf = (parameter: ParameterId) => Pick<Blob, 'dtype' | 'bytes'>;

/** What the rule of a layer uses to write ONNX. */
export interface LayerWriter {
  readonly node: Node;
  /** The Scale that BatchNormalization includes, or null. */
  readonly scale: Node | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The shapes of the inputs and of the outputs. */
  readonly bottoms: readonly (readonly number[])[];
  readonly tops: readonly (readonly number[])[];
  /** The selector of a Filter; null for other layers. */
  readonly selector: string | null;
  parameterShape(parameter: ParameterId): readonly number[];
  float64(parameter: ParameterId): Float64Array;
  /**
   * Adds a parameter as the file stores it.
   * @param shape Default: its own.
   */
  parameter(parameter: ParameterId, role: string, shape?: readonly number[]): string;
  /**
   * Adds values that are computed when they are written.
   * @param layer Default: this one.
   */
  computed(role: string, shape: readonly number[], make: () => Float32Array, layer?: string): string;
  scalar(role: string, value: number): string;
  integers(role: string, values: readonly number[]): string;
  /** A name for another value of the layer, if it needs several nodes. */
  value(role: string): string;
  /** Adds a node. Without `outputs` it makes a new value and returns its name. */
  emit(
    type: string,
    inputs: readonly string[],
    attributes?: Record<string, OnnxAttribute>,
    outputs?: readonly string[],
  ): string;
  fail(reason: string): never;
}

/** The graph that is being written. */
export class OnnxWriter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  readonly #graph: Graph;
  readonly #names: readonly string[];
  readonly #blobOf: BlobOf;
  readonly #values: Names;
  readonly #nodeNames = new Names();
  readonly #parameters = new Map<string, string>();

  constructor(graph: Graph, names: readonly string[], blobOf: BlobOf) {
    this.#graph = graph;
    this.#names = names;
    this.#blobOf = blobOf;
    this.#values = new Names(names);
  }

  layer(node: Node, scale: Node | null): LayerWriter {
    const { parameters, values } = this.#graph;
    const selection = this.#graph.selections.find(({ indices }) => node.inputs.includes(indices));
    const outputs = (scale ?? node).outputs.map((id) => this.#names[id]!);
    const add = (
      name: string,
      type: OnnxTensor['type'],
      shape: readonly number[],
      bytes: () => Uint8Array,
    ) => {
      const unused = this.#values.take(name);
      this.initializers.push({ name: unused, type, shape, bytes });
      return unused;
    };
    return {
      node,
      scale,
      inputs: node.inputs.map((id) => this.#names[id]!),
      outputs,
      bottoms: node.inputs.map((id) => values[id]!.shape),
      tops: (scale ?? node).outputs.map((id) => values[id]!.shape),
      selector: selection === undefined ? null : this.#names[selection.selector]!,
      parameterShape: (parameter) => parameters[parameter]!.shape,
      float64: (parameter) => toFloat64(this.#blobOf(parameter)),
      parameter: (parameter, role, shape = parameters[parameter]!.shape) => {
        const key = `${parameter} ${shape}`;
        const known = this.#parameters.get(key);
        if (known !== undefined) return known;
        const name = add(`${parameters[parameter]!.layer}.${role}`, 'float32', shape, () => {
          const blob = this.#blobOf(parameter);
          return blob.dtype === 'float32' ? blob.bytes : bytesOf(toFloat32(blob));
        });
        this.#parameters.set(key, name);
        return name;
      },
      computed: (role, shape, make, layer = node.name) =>
        add(`${layer}.${role}`, 'float32', shape, () => bytesOf(make())),
      scalar: (role, value) =>
        add(`${node.name}.${role}`, 'float32', [], () => bytesOf(Float32Array.of(value))),
      integers: (role, list) =>
        add(`${node.name}.${role}`, 'int64', [list.length], () =>
          bytesOf(BigInt64Array.from(list, (value) => BigInt(value))),
        ),
      value: (role) => this.#values.take(`${node.name}/${role}`),
      emit: (type, inputs, attributes = {}, made) => {
        const helper = `${node.name}/${type}`;
        const produced = made ?? [this.#values.take(helper)];
        const isOwn = produced.some((name) => outputs.includes(name));
        this.nodes.push({
          name: this.#nodeNames.take(isOwn ? node.name : helper),
          type,
          domain: '',
          inputs,
          outputs: produced,
          attributes: new Map(Object.entries(attributes)),
        });
        return produced[0]!;
      },
      fail: (reason) => {
        const { name, type, position } = node;
        throw new GraphError(
          'convert/onnx',
          { layer: name, type, ...(position === undefined ? {} : { position }) },
          `cannot be written to ONNX: ${reason}`,
        );
      },
    };
  }
}

const bytesOf = (array: Float32Array | BigInt64Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
