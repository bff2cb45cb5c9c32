/** Finds the nodes of an ONNX model by their outputs, and groups of nodes that match the form in which we write a layer. */
import { ResnodeError } from '../base/errors.ts';
import { toFloat32 } from '../caffe/blob.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from './onnx-proto.ts';
import { toOnnx } from './to-onnx.ts';

/** A layer that a model may contain, and the shapes of its bottoms. */
export interface Candidate {
  readonly layer: LayerParameter & { readonly type: string };
  readonly bottoms: readonly (readonly number[])[];
  readonly topCount?: number;
}

/** The values of the model that are the layer's bottoms and tops. */
export interface Found {
  readonly bottoms: readonly string[];
  readonly tops: readonly string[];
}

/** A node of a path towards the inputs, and the input of the node through which the path continues. */
export type Step = readonly [type: string, input: number];

/** Looks up nodes by their outputs. The output of an Identity is another name of its input. */
export class Subgraph {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #constants = new Map<string, OnnxTensor>();

  constructor({ nodes, initializers }: Pick<OnnxModel, 'nodes' | 'initializers'>) {
    for (const tensor of initializers) this.#constants.set(tensor.name, tensor);
    for (const node of nodes) {
      for (const output of node.outputs) this.#makers.set(output, node);
      const value = node.type === 'Constant' ? node.attributes.get('value') : undefined;
      if (value?.type === 'tensor') this.#constants.set(node.outputs[0] ?? '', value.value);
    }
  }

  /** The first name of a value, before any Identity. */
  origin(name: string): string {
    const names = new Set<string>();
    for (let at = name; ; ) {
      const maker = this.#makers.get(at);
      // In a damaged file the names may form a cycle, which has no first one.
      if (maker?.type !== 'Identity' || names.has(at)) return at;
      names.add(at);
      at = maker.inputs[0] ?? '';
    }
  }

  maker(name: string): OnnxNode | null {
    return this.#makers.get(this.origin(name)) ?? null;
  }

  constant(name: string | undefined): OnnxTensor | null {
    return this.#constants.get(this.origin(name ?? '')) ?? null;
  }

  /** The values of a constant of integers. */
  list(name: string | undefined): readonly number[] | null {
    const tensor = this.constant(name);
    return tensor === null ? null : integersOf(tensor);
  }

  /** The values of a constant of float32. */
  floats(name: string | undefined): Float32Array | null {
    const tensor = this.constant(name);
    return tensor?.type === 'float32' ? toFloat32(blobOfTensor(tensor)!) : null;
  }

  /** The node at the end of a path towards the inputs; its last step names only a type. Null if the nodes differ. */
  up(name: string | undefined, ...way: readonly (Step | string)[]): OnnxNode | null {
    let node: OnnxNode | null = null;
    let at = name;
    for (const step of way) {
      const [type, input] = typeof step === 'string' ? [step, 0] : step;
      node = at === undefined ? null : this.maker(at);
      if (node?.type !== type) return null;
      at = node.inputs[input];
    }
    return node;
  }

  /** The names of all outputs of nodes. */
  made(): Iterable<string> {
    return this.#makers.keys();
  }

  /** The candidate's bottoms and tops if the nodes that compute `output` match it; otherwise null. */
  find(output: string, candidate: Candidate): Found | null {
    const written = writtenAs(candidate);
    return written === null ? null : new Match(this, written).from(output);
  }
}

const NO_WEIGHTS = () => ({ dtype: 'float32' as const, bytes: new Uint8Array(0) });

/** The model of a net with this layer alone; null if the layer cannot be built or written. */
function writtenAs({ layer, bottoms, topCount = 1 }: Candidate): OnnxModel | null {
  const bottom = bottoms.map((_, i) => `bottom ${i}`);
  const top = Array.from({ length: topCount }, (_, i) => `top ${i}`);
  const shape = bottoms.map((dim) => ({ dim: [...dim] }));
  const input = { name: 'input', type: 'Input', top: bottom, input_param: { shape } };
  try {
    return toOnnx(graphFromCaffe({ layer: [input, { name: 'layer', ...layer, bottom, top }] }), NO_WEIGHTS);
  } catch (error) {
    if (error instanceof ResnodeError) return null;
    throw error;
  }
}

/** Compares the model of a layer, the pattern, with nodes of another model, and binds the pattern's values to the model's. */
class Match {
  readonly #model: Subgraph;
  readonly #pattern: Subgraph;
  readonly #bottoms: readonly string[];
  readonly #tops: readonly string[];
  readonly #bound = new Map<string, string>();

  constructor(model: Subgraph, pattern: OnnxModel) {
    this.#model = model;
    this.#pattern = new Subgraph(pattern);
    this.#bottoms = pattern.inputs.map(({ name }) => name);
    this.#tops = pattern.outputs.map(({ name }) => name);
  }

  from(output: string): Found | null {
    const [first, ...others] = this.#tops.map((name) => this.#pattern.origin(name)) as [string, ...string[]];
    if (!this.#isSame(first, this.#model.origin(output))) return null;
    const tops = [output, ...others.map((name) => this.#other(name))];
    const bottoms = this.#bottoms.map((name) => this.#bound.get(name) ?? null);
    return [...bottoms, ...tops].includes(null) ? null : ({ bottoms, tops } as Found);
  }

  /** A top that does not contribute to the first one. */
  #other(top: string): string | null {
    const before = [...this.#bound];
    for (const name of this.#model.made()) {
      if (this.#isSame(top, name)) return name;
      this.#bound.clear();
      for (const [expected, found] of before) this.#bound.set(expected, found);
    }
    return null;
  }

  #isSame(expected: string, found: string): boolean {
    const bound = this.#bound.get(expected);
    if (bound !== undefined) return bound === found;
    this.#bound.set(expected, found);
    if (this.#bottoms.includes(expected)) return true;
    const [constant, other] = [this.#pattern.constant(expected), this.#model.constant(found)];
    if (constant !== null || other !== null)
      return constant !== null && other !== null && isSameTensor(constant, other);
    const [maker, node] = [this.#pattern.maker(expected), this.#model.maker(found)];
    if (maker === null || node === null) return false;
    return (
      maker.type === node.type &&
      node.domain === '' &&
      maker.outputs.indexOf(expected) === node.outputs.indexOf(found) &&
      maker.inputs.length === node.inputs.length &&
      isSameAttributes(maker.attributes, node.attributes) &&
      maker.inputs.every((input, i) =>
        this.#isSame(this.#pattern.origin(input), this.#model.origin(node.inputs[i]!)),
      )
    );
  }
}

/** @param found Its bytes are read first, which checks that there are as many values as its shape requires. */
const isSameTensor = (expected: OnnxTensor, found: OnnxTensor) =>
  expected.type === found.type &&
  expected.shape.join() === found.shape.join() &&
  Buffer.compare(found.bytes(), expected.bytes()) === 0;

const isSameAttributes = (a: OnnxNode['attributes'], b: OnnxNode['attributes']) =>
  a.size === b.size && [...a].every(([name, value]) => isSameAttribute(value, b.get(name)));

const isSameAttribute = (a: OnnxAttribute, b: OnnxAttribute | undefined) =>
  a.type === b?.type &&
  (Array.isArray(a.value) ? a.value.join() === (b.value as readonly number[]).join() : a.value === b.value);
