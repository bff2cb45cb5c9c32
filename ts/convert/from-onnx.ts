/** ONNX → NetParameter and weights: nodes become layers of the same names, in place where Caffe would. */

import { ResnodeError, WeightsError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../caffe/caffemodel.ts';
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { type WholeLayer, wholeLayers } from './from-onnx-detection.ts';
import { operators, withoutLayer } from './from-onnx-operators.ts';
import { selectedForms } from './from-onnx-selection.ts';
import { runInPlace } from './in-place.ts';
import { Names } from './names.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { computeConstant } from './onnx-constant-operators.ts';
import { blobOfTensor, integerConstant } from './onnx-constants.ts';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from './onnx-proto.ts';

export interface FromOnnxOptions {
  /** The name for errors. */
  readonly file: string;
  /** Shapes of inputs by name; needed if the file leaves a dimension other than the first open. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** The net's outputs. Nodes that only other outputs need are not converted. Default: the model's outputs. */
  readonly outputs?: readonly string[];
}

// Before opset 7, broadcasting and BatchNormalization were written differently.
const OLDEST_OPSET = 7;

/**
 * Converts an ONNX model into Caffe's layers. An open first dimension becomes 1, since Caffe accepts any batch. The fields
 * pad and round_mode express padding and rounding.
 * @throws WeightsError `onnx/…`, with the node that Caffe has no equivalent for and the reason
 */
export function fromOnnx(
  model: OnnxModel,
  options: FromOnnxOptions,
): { net: NetParameter; weights: WeightsFile; outputs: readonly string[] } {
  const { file } = options;
  if (model.opset < OLDEST_OPSET)
    throw new WeightsError(
      'onnx/opset',
      { file },
      `it is written in opset ${model.opset}; export it again with opset ${OLDEST_OPSET} or later`,
    );
  const outputs = new Set(options.outputs ?? model.outputs.map(({ name }) => name));
  checkOutputs(outputs, model, file);
  const builder = new NetBuilder(model, options, outputs);
  const whole = wholeLayers(model);
  const nodes = neededNodes(model, outputs, whole);
  builder.refuse(nodes);
  for (const node of nodes) builder.convert(node, whole.get(node));
  for (const name of outputs) builder.checkOutput(name);
  const layers = runInPlace(builder.layers, outputs);
  const name = model.name;
  const weights = { file, name, layers: builder.weights };
  return { net: { name, layer: layers }, weights, outputs: [...outputs] };
}

/** Why a rule refuses a value that is not an ordinary float. */
const WHY_NOT_FLOATS = {
  truncated: 'it computes with integers that a Cast made from floats; only Gather accepts such indices',
  truth: 'it reads booleans that a Cast made; only Compress and NonZero accept them',
  selected: 'it reads the indices of NonZero; only Gather and GatherND accept them',
  places: "it reads MaxPool's indices; only MaxUnpool accepts them, and Mod by the size of a plane",
} as const;

/** Pads channels by a separate layer. */
const MOST_PADDED = 2 ** 20;

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

  constructor(model: OnnxModel, { file, inputShapes = {} }: FromOnnxOptions, outputs: ReadonlySet<string>) {
    this.#file = file;
    this.#model = model;
    this.#outputs = outputs;
    for (const tensor of model.initializers) this.#constants.set(tensor.name, tensor);
    for (const { inputs } of model.nodes)
      for (const name of inputs) this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
    // Up to IR version 3 the inputs also list the initializers.
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

  /**
   * This check precedes the nodes that compute the value, because they may fail, too, with hints that do not help here.
   */
  refuse(nodes: readonly OnnxNode[]): void {
    for (const node of nodes)
      if (node.domain === '' && Object.hasOwn(withoutLayer, node.type))
        this.#context(node).fail(withoutLayer[node.type]!);
  }

  /** @param whole The layer that ends with this node. */
  convert(node: OnnxNode, whole?: WholeLayer) {
    if (whole !== undefined) {
      const context = this.#context(whole.node);
      const bottom = whole.node.inputs.map((_, i) => context.activation(i).name);
      return context.layer({
        ...whole.layer,
        name: context.layerName(),
        bottom,
        top: [...whole.node.outputs],
      });
    }
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
    const isSelected = this.#values.get(node.inputs[0] ?? '')?.holds === 'selected';
    if (isSelected && Object.hasOwn(selectedForms, node.type)) selectedForms[node.type]!(context);
    else rule(context);
  }

  /** @throws WeightsError if no layer makes an output */
  checkOutput(name: string): void {
    const value = this.#values.get(name) ?? this.#asLayer(name);
    // A Cast to integers usually follows an ArgMax, whose values are integers.
    if (value?.holds !== undefined && value.holds !== 'truncated')
      throw new WeightsError(
        'onnx/output',
        { file: this.#file },
        `output "${name}" is not a float that the net computes: ${WHY_NOT_FLOATS[value.holds]}; end the model before it`,
      );
    if (value !== null && value.zeros[0] + value.zeros[1] > 0) {
      const { name: made } = this.#padded(name, value);
      this.#add({ name: this.#names.take(name), type: 'Split', bottom: [made], top: [name] }, []);
    } else if (value === null)
      throw new WeightsError(
        'onnx/output',
        { file: this.#file },
        `output "${name}" comes from a node that did not become a layer`,
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
      activation: (input, { takesZeros = false, takes } = {}) => {
        const name = inputs[input] ?? '';
        const value = this.#values.get(name) ?? this.#asLayer(name);
        if (value === null)
          return fail(
            constant(input) === null
              ? `input ${input} ("${name}") is not the output of a node before it`
              : `input ${input} ("${name}") is a constant, expected a value that the net computes; fold everything that depends only on constants when you export the net (do_constant_folding of torch.onnx.export), or with onnxsim`,
          );
        if (value.holds !== undefined && ![takes].flat().includes(value.holds))
          return fail(WHY_NOT_FLOATS[value.holds]);
        if (takesZeros || value.zeros[0] + value.zeros[1] === 0) return value;
        if (value.shape[1]! > MOST_PADDED) return fail(`it pads ${value.shape[1]} channels`);
        return this.#padded(name, value);
      },
      isComputed: (input) => this.#values.has(inputs[input] ?? ''),
      step: (bottoms, layer, blobs = []) => {
        const own = this.#names.take(`${name || outputs[0] || type}/${layer.type}`);
        const bottom = bottoms.map((each) => each.name);
        this.#add({ ...layer, name: own, bottom, top: [own] }, blobs, fail);
        return this.#values.get(own)!;
      },
      last: (bottoms, layer, blobs = []) => {
        const own = this.#names.take(name || outputs[0] || type);
        const bottom = bottoms.map((each) => each.name);
        this.#add({ ...layer, name: own, bottom, top: outputs.slice(0, 1) }, blobs, fail);
      },
      part: (value, axis, from, to) => {
        const size = value.shape[axis]!;
        const own = this.#names.take(`${name || outputs[0] || type}/Slice`);
        const cuts = [from, to].filter((at) => at > 0 && at < size);
        const top = [...cuts, size].map((end) => (end === to ? own : `${own}/${end}`));
        const slice_param = { axis, slice_point: cuts };
        this.#add({ name: own, type: 'Slice', bottom: [value.name], top, slice_param }, [], fail);
        return this.#values.get(own)!;
      },
      holds: (what, output = 0, plane) => {
        const { holds: _, plane: __, ...value } = this.#values.get(outputs[output] ?? '')!;
        const held = { ...(what && { holds: what }), ...(plane && { plane }) };
        this.#values.set(outputs[output]!, { ...value, ...held });
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
      isRead: (output) => {
        const made = outputs[output] ?? '';
        return made !== '' && (this.#readers.has(made) || this.#outputs.has(made));
      },
      output: (output, value) => {
        const made = outputs[output]!;
        if (!this.#outputs.has(made)) return void this.#values.set(made, value);
        const layer = { name: this.#names.take(made), type: 'Split', bottom: [value.name], top: [made] };
        this.#add(layer, [], fail);
      },
      alias: (value) => void this.#values.set(outputs[0] ?? '', value),
      define: (value) => void this.#constants.set(outputs[0] ?? '', value),
      isOutput: (value) => this.#outputs.has(value),
      fail,
    };
  }

  /** A Parameter layer for a constant that a layer reads like a computed value; null if the constant is not a float. */
  #asLayer(name: string): Activation | null {
    const tensor = this.#constants.get(name);
    const blob = tensor === undefined ? null : blobOfTensor(tensor);
    if (blob === null || blob.shape.length === 0 || blob.shape.some((dim) => dim < 1)) return null;
    const layer = {
      name: this.#names.take(name),
      type: 'Parameter',
      top: [name],
      param: [{ lr_mult: 0 }],
      parameter_param: { shape: { dim: [...blob.shape] } },
    };
    this.#add(layer, [blob]);
    return this.#values.get(name)!;
  }

  /** Adds zeros around planes if no layer can add them itself, by a convolution of 1×1 that copies each channel. */
  #padded(name: string, { name: bottom, shape, zeros: [h, w] }: Activation): Activation {
    const channels = shape[1]!;
    const own = this.#names.take(`${name}/pad`);
    const pad = h === w ? { pad: [h] } : { pad_h: h, pad_w: w };
    const convolution_param = {
      num_output: channels,
      group: channels,
      bias_term: false,
      kernel_size: [1],
      ...pad,
    };
    const layer = { name: own, type: 'Convolution', bottom: [bottom], top: [own], convolution_param };
    this.#add(layer, [blobFromFloats([channels, 1, 1, 1], new Float32Array(channels).fill(1))]);
    const made = this.#values.get(own)!;
    this.#values.set(name, made);
    return made;
  }

  // Builds the layer alone by the rules of every net. They check it and give the shapes of its tops.
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

/** @throws WeightsError if the model does not make such a value */
function checkOutputs(outputs: ReadonlySet<string>, model: OnnxModel, file: string): void {
  const made = [...model.nodes.flatMap((node) => node.outputs), ...model.outputs.map(({ name }) => name)];
  const missing = [...outputs].find((name) => !made.includes(name));
  if (missing === undefined) return;
  const near = nearest(missing, made);
  const hint =
    near === undefined
      ? `its outputs are ${model.outputs.map(({ name }) => name).join(', ')}`
      : `did you mean "${near}"?`;
  throw new WeightsError('onnx/output', { file }, `no node of the model produces "${missing}"; ${hint}`);
}

// The results of unused nodes would be outputs in Caffe. Nodes that were replaced by a whole layer are not needed.
function neededNodes(
  model: OnnxModel,
  outputs: ReadonlySet<string>,
  whole: ReadonlyMap<OnnxNode, WholeLayer>,
): OnnxNode[] {
  const needed = new Set(outputs);
  const made = new Set<string>();
  const nodes = [];
  for (const node of [...model.nodes].reverse()) {
    const layer = whole.get(node)?.node ?? node;
    const isNeeded = (name: string) => needed.has(name) && !made.has(name);
    if (!layer.outputs.some(isNeeded) && !node.outputs.some(isNeeded)) continue;
    for (const name of layer.inputs) needed.add(name);
    if (layer !== node) for (const name of layer.outputs) made.add(name);
    nodes.push(node);
  }
  return nodes.reverse();
}
