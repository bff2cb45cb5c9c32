/**
 * ONNX files as plain data. The wire format is that of ts/caffe. Weights are read as views of the file, and written
 * while they are computed, so there is no second copy of a net in memory. Field numbers:
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */

import { WeightsError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import type { WireField } from '../caffe/wire.ts';
import { FieldBudget, packedVarints, readFields } from '../caffe/wire.ts';
import { wrongKind } from '../caffe/wrong-kind.ts';

export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** Little-endian, with any alignment; read or computed when it is called. */
  readonly bytes: () => Uint8Array;
}

export type OnnxAttribute =
  | { readonly type: 'int' | 'float'; readonly value: number }
  | { readonly type: 'ints' | 'floats'; readonly value: readonly number[] }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  /** Graphs, sparse tensors and others, which no operator here supports. */
  | { readonly type: 'other'; readonly value: null };

export interface OnnxNode {
  readonly name: string;
  readonly type: string;
  /** '' is ONNX's own domain. */
  readonly domain: string;
  /** An omitted input is ''. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** An input or output of the graph. A dimension without a number has its name, or ''. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[] | null;
}

export interface OnnxModel {
  readonly producer: string;
  /** The opset of ONNX's own operators. */
  readonly opset: number;
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

// TensorProto.DataType: number, name, bytes of a value (0: variable).
const TYPES = [
  [1, 'float32', 4],
  [2, 'uint8', 1],
  [3, 'int8', 1],
  [4, 'uint16', 2],
  [5, 'int16', 2],
  [6, 'int32', 4],
  [7, 'int64', 8],
  [8, 'string', 0],
  [9, 'bool', 1],
  [10, 'float16', 2],
  [11, 'float64', 8],
  [16, 'bfloat16', 2],
] as const;
export type ElementType = (typeof TYPES)[number][1] | 'unknown';

/** The number in the file, and the bytes of a value. */
export function elementType(type: ElementType): { number: number; size: number } {
  const [number, , size] = TYPES.find(([, name]) => name === type) ?? [0, '', 0];
  return { number, size };
}

const typeNamed = (number: number): ElementType => TYPES.find(([n]) => n === number)?.[1] ?? 'unknown';
const MAX_ELEMENTS = 2 ** 31 - 1; // the largest size of a blob in Caffe

/**
 * Reads bytes that an .onnx stores in another file.
 * @throws WeightsError
 */
export type ExternalData = (location: string, offset: number, length: number | null) => Uint8Array;

/**
 * Reads an ONNX model. Its tensors are views of `bytes`.
 * @param options.file The name for errors.
 * @param options.external Default: external data is refused.
 * @throws WeightsError that names the offset, tensor or node of the error
 */
export function readOnnx(bytes: Uint8Array, options: { file: string; external?: ExternalData }): OnnxModel {
  const { file } = options;
  const wrong = wrongKind(bytes, 'onnx');
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
  const model = new Fields(bytes, file, 'ModelProto', new FieldBudget());
  const graphs = model.messages(7, 'GraphProto');
  const graph = graphs.at(-1);
  if (graph === undefined)
    throw new WeightsError('onnx/no-graph', { file }, 'this is not an ONNX model: it has no graph');
  const opset = model
    .messages(8, 'OperatorSetIdProto')
    .filter((set) => ['', 'ai.onnx'].includes(set.text(1)))
    .at(-1);
  const external =
    options.external ??
    ((location) => {
      throw new WeightsError(
        'onnx/external',
        { file },
        `its weights are in "${location}", which cannot be read here`,
      );
    });
  return {
    producer: [model.text(2), model.text(3)].filter((text) => text !== '').join(' '),
    opset: opset?.integer(2) ?? 1,
    name: graph.text(2),
    nodes: graph.each(
      1,
      (i) => `node ${i}`,
      (node) => readNode(node, external),
    ),
    initializers: graph.each(
      5,
      (i) => `initializer ${i}`,
      (tensor) => readTensor(tensor, external),
    ),
    inputs: graph.messages(11, 'input').map(readValue),
    outputs: graph.messages(12, 'output').map(readValue),
  };
}

function readNode(node: Fields, external: ExternalData): OnnxNode {
  const name = node.text(3);
  const attributes = node
    .messages(5, `attribute of node "${name}"`)
    .map((attribute) => [attribute.text(1), readAttribute(attribute, external)] as const);
  return {
    name,
    type: node.text(4),
    domain: node.text(7) === 'ai.onnx' ? '' : node.text(7),
    inputs: node.texts(1),
    outputs: node.texts(2),
    attributes: new Map(attributes),
  };
}

// AttributeProto.AttributeType → the field with the value. Files of IR version 1 have no type.
function readAttribute(attribute: Fields, external: ExternalData): OnnxAttribute {
  const kinds: [number, number, () => OnnxAttribute][] = [
    [1, 2, () => ({ type: 'float', value: attribute.floats(2).at(-1) ?? 0 })],
    [2, 3, () => ({ type: 'int', value: attribute.integer(3) })],
    [3, 4, () => ({ type: 'string', value: attribute.text(4) })],
    [
      4,
      5,
      () => {
        const tensor = attribute.messages(5, `tensor of attribute "${attribute.text(1)}"`).at(-1);
        return tensor === undefined
          ? { type: 'other', value: null }
          : { type: 'tensor', value: readTensor(tensor, external) };
      },
    ],
    [6, 7, () => ({ type: 'floats', value: attribute.floats(7) })],
    [7, 8, () => ({ type: 'ints', value: attribute.integers(8) })],
  ];
  const type = attribute.integer(20);
  const kind = kinds.find(([number, field]) => (type === 0 ? attribute.has(field) : number === type));
  return kind === undefined ? { type: 'other', value: null } : kind[2]();
}

function readTensor(tensor: Fields, external: ExternalData): OnnxTensor {
  const name = tensor.text(8);
  const { file } = tensor;
  const type = typeNamed(tensor.integer(2));
  const { size } = elementType(type);
  const shape = tensor.integers(1);
  const count = elementCount(shape);
  if (!shape.every((dim) => dim >= 0) || !(count <= MAX_ELEMENTS))
    throw new WeightsError(
      'onnx/shape',
      { file },
      `tensor "${name}": the shape ${shape.join('×')} is invalid; the file is damaged`,
    );
  const check = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length !== count * size)
      throw new WeightsError(
        'onnx/data-size',
        { file },
        `tensor "${name}": shape ${shape.join('×') || '[] (a scalar)'} of ${type} needs ${count * size} bytes, found ${bytes.length}`,
      );
    return bytes;
  };
  if (tensor.integer(14) === 1) {
    const entries = new Map(
      tensor.messages(13, `external data of "${name}"`).map((entry) => [entry.text(1), entry.text(2)]),
    );
    const number = (key: string) => (entries.has(key) ? Number(entries.get(key)) : null);
    return {
      name,
      shape,
      type,
      bytes: () => check(external(entries.get('location') ?? '', number('offset') ?? 0, number('length'))),
    };
  }
  // raw_data 9, or a list for each type: float_data 4, int32_data 5 (small integers, too), int64_data 7, double_data
  // 10.
  if (tensor.has(9) || count === 0) {
    const raw = check(tensor.all(9));
    return { name, shape, type, bytes: () => raw };
  }
  if (type === 'float32' || type === 'float64') {
    const raw = check(tensor.all(type === 'float32' ? 4 : 10));
    return { name, shape, type, bytes: () => raw };
  }
  if (type === 'int64' || type === 'int32') {
    const values = tensor.integers(type === 'int64' ? 7 : 5);
    const raw = check(new Uint8Array(BigInt64Array.from(values, toBigInt).buffer));
    return { name, shape, type: 'int64', bytes: () => raw };
  }
  const none = new Uint8Array(0);
  return { name, shape, type, bytes: () => check(none) };
}

const toBigInt = (value: number) => BigInt(Number.isNaN(value) ? 0 : value);

function readValue(value: Fields): OnnxValue {
  const tensor = value
    .messages(2, 'type')
    .at(-1)
    ?.messages(1, `type of "${value.text(1)}"`)
    .at(-1);
  const shape = tensor?.messages(2, `shape of "${value.text(1)}"`).at(-1);
  return {
    name: value.text(1),
    type: typeNamed(tensor?.integer(1) ?? 0),
    shape: shape?.messages(1, 'dimension').map((dim) => (dim.has(1) ? dim.integer(1) : dim.text(2))) ?? null,
  };
}

/** The fields of a message by number. Like protobuf, it skips fields with another wire type than expected. */
class Fields {
  readonly file: string;
  readonly #what: string;
  readonly #fields = new Map<number, WireField[]>();

  readonly #budget: FieldBudget;

  constructor(bytes: Uint8Array, file: string, what: string, budget: FieldBudget) {
    this.file = file;
    this.#what = what;
    this.#budget = budget;
    for (const field of readFields(bytes, { file, what, budget })) {
      const list = this.#fields.get(field.number);
      if (list === undefined) this.#fields.set(field.number, [field]);
      else list.push(field);
    }
  }

  has(number: number): boolean {
    return this.#fields.has(number);
  }

  #payloads(number: number, ...wireTypes: number[]): Uint8Array[] {
    return (this.#fields.get(number) ?? [])
      .filter(({ wireType }) => wireTypes.includes(wireType))
      .map(({ bytes }) => bytes);
  }

  messages(number: number, what: string): Fields[] {
    return this.each(
      number,
      () => what,
      (fields) => fields,
    );
  }

  /** Applies `read` to each message of a field; only one of them is decoded in memory at a time. */
  each<T>(number: number, whatOf: (index: number) => string, read: (message: Fields) => T): T[] {
    return this.#payloads(number, 2).map((bytes, i) =>
      read(new Fields(bytes, this.file, whatOf(i), this.#budget)),
    );
  }

  texts(number: number): string[] {
    return this.#payloads(number, 2).map((bytes) =>
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'),
    );
  }

  text(number: number): string {
    return this.texts(number).at(-1) ?? '';
  }

  integers(number: number): number[] {
    return (this.#fields.get(number) ?? [])
      .filter(({ wireType }) => wireType === 0 || wireType === 2)
      .flatMap((field) => packedVarints(field, { file: this.file, what: this.#what }));
  }

  integer(number: number): number {
    return (this.#fields.get(number) ?? []).findLast(({ wireType }) => wireType === 0)?.value ?? 0;
  }

  /** The bytes of a field, or of a list of values with fixed size, packed or not. */
  all(number: number): Uint8Array {
    const parts = this.#payloads(number, 1, 2, 5);
    return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
  }

  floats(number: number): number[] {
    const bytes = this.all(number);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => view.getFloat32(4 * i, true));
  }
}
