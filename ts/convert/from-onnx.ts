/** ONNX → NetParameter and weights: nodes become layers of the same names, in place where Caffe would. */

import { ResnodeError, WeightsError } from '../base/errors.ts';
import type { Blob } from '../caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../caffe/caffemodel.ts';
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { operators } from './from-onnx-operators.ts';
import { runInPlace } from './in-place.ts';
import { Names } from './names.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { computeConstant } from './onnx-constant-operators.ts';
import { integerConstant } from './onnx-constants.ts';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from './onnx-proto.ts';

export interface FromOnnxOptions {
  /** Named in errors. */
  readonly file: string;
  /** Shapes of inputs by name; needed where the file has no number for another dimension than the first. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
}

// Before 7, broadcasting and BatchNormalization were written differently.
const OLDEST_OPSET = 7;

/**
 * Converts an ONNX model of the operators that ResNets are made of into Caffe's layers. A first dimension without a
 * number becomes 1 (Caffe takes any batch), padding and rounding are expressed by pad and round_mode.
 * @throws WeightsError `onnx/…` naming the node that Caffe has no equal of, and why
 */
export function fromOnnx(
  model: OnnxModel,
  options: FromOnnxOptions,
): { net: NetParameter; weights: WeightsFile } {
  const { file } = options;
  if (model.opset < OLDEST_OPSET)
    throw new WeightsError(
      'onnx/opset',
      { file },
      `it is written in opset ${model.opset}; export it again with opset ${OLDEST_OPSET} or later`,
    );
  const builder = new NetBuilder(model, options);
  const outputs = new Set(model.outputs.map(({ name }) => name));
  for (const node of neededNodes(model, outputs)) builder.convert(node);
  for (const name of outputs) builder.checkOutput(name);
  const layers = runInPlace(builder.layers, outputs);
  const name = model.name;
  return { net: { name, layer: layers }, weights: { file, name, layers: builder.weights } };
}

class NetBuilder {
  readonly layers: LayerParameter[] = [];
  readonly weights: WeightsLayer[] = [];
  readonly #file: string;
  readonly #model: OnnxModel;
  readonly #values = new Map<string, Activation>();
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #names = new Names();
  readonly #outputs: ReadonlySet<string>;
  readonly #readers = new Map<string, number>();

  constructor(model: OnnxModel, { file, inputShapes = {} }: FromOnnxOptions) {
    this.#file = file;
    this.#model = model;
    this.#outputs = new Set(model.outputs.map(({ name }) => name));
    for (const tensor of model.initializers) this.#constants.set(tensor.name, tensor);
    for (const { inputs } of model.nodes)
      for (const name of inputs) this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
    // Up to IR version 3 initializers are listed among the inputs too.
    for (const { name, type, shape } of model.inputs) {
      if (this.#constants.has(name) || !this.#readers.has(name)) continue;
      const dims =
        (Object.hasOwn(inputShapes, name) ? inputShapes[name] : undefined) ??
        shape?.map((dim, i) => (i === 0 && typeof dim === 'string' ? 1 : dim));
      if (type !== 'float32' || dims === undefined || dims.some((dim) => typeof dim === 'string'))
        throw new WeightsError(
          'onnx/input',
          { file },
          `input "${name}" is ${type} ${shape === null ? 'of no stated shape' : shape.map((dim) => dim || '?').join('×')}; expected float32, and numbers for all but the first dimension: give its shape (--input-shape ${name}=1x3x224x224)`,
        );
      const layer = {
        name: this.#names.take(name),
        type: 'Input',
        top: [name],
        input_param: { shape: [{ dim: dims as number[] }] },
      };
      this.#add(layer, []);
    }
  }

  convert(node: OnnxNode) {
    const context = this.#context(node);
    const constants = node.inputs.map((name) => this.#constants.get(name) ?? null);
    if (node.domain !== '')
      context.fail(`it is an operator of "${node.domain}", not of ONNX; export the net without extensions`);
    if (node.type === 'Shape' && constants[0] === null) {
      const { shape } = context.activation(0);
      const part = shape.slice(context.integer('start', 0), context.integer('end', shape.length));
      return context.define(integerConstant(node.outputs[0] ?? '', [part.length], part));
    }
    const folded = computeConstant(node.type, node.outputs[0] ?? '', constants, node.attributes);
    if (folded !== null) return context.define(folded);
    const rule = Object.hasOwn(operators, node.type) ? operators[node.type]! : null;
    if (rule === null)
      return context.fail(
        `Caffe has no layer for it here (converted are ${Object.keys(operators).sort().join(', ')})`,
      );
    rule(context);
  }

  /** @throws WeightsError where an output is not made by a layer */
  checkOutput(name: string): void {
    const value = this.#values.get(name);
    if (value === undefined || value.zeros[0] + value.zeros[1] > 0)
      throw new WeightsError(
        'onnx/output',
        { file: this.#file },
        `output "${name}" is made by no node that became a layer`,
      );
  }

  #context(node: OnnxNode): NodeContext {
    const { name, type, inputs, outputs, attributes } = node;
    const fail = (reason: string): never => {
      throw new WeightsError(
        'onnx/node',
        { file: this.#file, layer: name },
        `node "${name || outputs[0] || ''}" (${type}): ${reason}`,
      );
    };
    const attribute = <Value>(key: string, ...types: OnnxAttribute['type'][]): Value | null => {
      const found = attributes.get(key);
      if (found === undefined) return null;
      if (!types.includes(found.type))
        return fail(`attribute ${key} is a ${found.type}, expected ${types.join(' or ')}`);
      return found.value as Value;
    };
    const constant = (input: number) => this.#constants.get(inputs[input] ?? '') ?? null;
    return {
      node,
      opset: this.#model.opset,
      inputCount: inputs.length,
      integer: (key, missing) => attribute<number>(key, 'int') ?? missing,
      integers: (key) => attribute<number[]>(key, 'ints'),
      float: (key, missing) => attribute<number>(key, 'float', 'int') ?? missing,
      text: (key, missing) => attribute<string>(key, 'string') ?? missing,
      tensor: (key) => attribute<OnnxTensor>(key, 'tensor'),
      constant,
      activation: (input, { takesZeros = false } = {}) => {
        const value = this.#values.get(inputs[input] ?? '');
        if (value === undefined)
          return fail(
            constant(input) === null
              ? `input ${input} ("${inputs[input] ?? ''}") is made by no node before it`
              : `input ${input} ("${inputs[input]}") is a constant, expected a value that the net computes`,
          );
        if (!takesZeros && value.zeros[0] + value.zeros[1] > 0)
          return fail('it reads what a Pad node made; only Conv and AveragePool take padding along');
        return value;
      },
      layerName: (from = null) => {
        const prefix = /^(?!onnx::)(.+?)[._](weight|bias|gamma|beta|running_mean|running_var|mean|var)$/.exec(
          from?.name ?? '',
        )?.[1];
        return this.#names.take(prefix ?? (name || outputs[0] || type));
      },
      layer: (layer, blobs = []) => {
        const bottom = layer.bottom ?? [this.#context(node).activation(0).name];
        this.#add({ ...layer, bottom, top: layer.top ?? outputs.slice(0, 1) }, blobs, fail);
      },
      previous: (value) => {
        const layer = this.layers.at(-1);
        if (layer?.top?.length !== 1 || layer.top[0] !== value.name) return null;
        if (this.#readers.get(value.name) !== 1 || this.#outputs.has(value.name)) return null;
        const weights = this.weights.at(-1);
        return { layer, weights: weights !== undefined && weights.name === layer.name ? weights : null };
      },
      replacePrevious: (layer, blobs) => {
        const removed = this.layers.pop()!;
        if (this.weights.at(-1)?.name === removed.name) this.weights.pop();
        this.#add({ ...layer, top: outputs.slice(0, 1) }, blobs, fail);
      },
      alias: (value) => void this.#values.set(outputs[0] ?? '', value),
      define: (value) => void this.#constants.set(outputs[0] ?? '', value),
      isOutput: (value) => this.#outputs.has(value),
      fail,
    };
  }

  // Builds the layer alone, by the rules of every other net: they check it, and say the shapes of its tops.
  #add(layer: LayerParameter, blobs: readonly Blob[], fail?: (reason: string) => never): void {
    const bottoms = [...new Set(layer.bottom ?? [])];
    const shape = bottoms.map((name) => ({ dim: [...this.#values.get(name)!.shape] }));
    const input = { name: 'input', type: 'Input', top: bottoms, input_param: { shape } };
    try {
      const graph = graphFromCaffe({ layer: bottoms.length === 0 ? [layer] : [input, layer] });
      graph.parameters.forEach(({ shape: needed }, i) => {
        const found = blobs[i]?.shape.join('×');
        if (found !== needed.join('×'))
          fail?.(`its weights are ${found ?? 'missing'}, a layer of this kind needs ${needed.join('×')}`);
      });
      for (const top of layer.top ?? [])
        this.#values.set(top, {
          name: top,
          shape: graph.values[graph.blobs.get(top)!]!.shape,
          zeros: [0, 0],
        });
    } catch (error) {
      if (!(error instanceof ResnodeError) || error instanceof WeightsError) throw error;
      throw new WeightsError(
        'onnx/node',
        { file: this.#file, ...(layer.name === undefined ? {} : { layer: layer.name }) },
        error.message,
        { cause: error },
      );
    }
    this.layers.push(layer);
    if (blobs.length > 0) this.weights.push({ name: layer.name ?? '', type: layer.type ?? '', blobs });
  }
}

// Nodes whose results nobody sees would be outputs in Caffe.
function neededNodes(model: OnnxModel, outputs: ReadonlySet<string>): OnnxNode[] {
  const needed = new Set(outputs);
  const nodes = [];
  for (const node of [...model.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of node.inputs) needed.add(name);
    nodes.push(node);
  }
  return nodes.reverse();
}
