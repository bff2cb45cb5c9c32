/**
 * ONNX models → chunks of a file. Lengths are computed before any weights, which are computed one tensor at a time.
 */
import { elementCount } from '../base/shape.ts';
import { bytesField, integerField, lengthDelimited, varint } from '../caffe/wire.ts';
import {
  elementType,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from './onnx-proto.ts';

// onnx.proto3: IR version 8 belongs to opset 17 (https://github.com/onnx/onnx/blob/main/docs/Versioning.md).
const IR_VERSION = 8;

interface Part {
  readonly length: number;
  readonly chunks: readonly (Uint8Array | (() => Uint8Array))[];
}

const bytePart = (bytes: Uint8Array): Part => ({ length: bytes.length, chunks: [bytes] });
const join = (parts: readonly Part[]): Part => ({
  length: parts.reduce((sum, { length }) => sum + length, 0),
  chunks: parts.flatMap(({ chunks }) => chunks),
});
const message = (field: number, ...parts: Part[]): Part => {
  const body = join(parts);
  return join([bytePart(lengthDelimited(field, body.length)), body]);
};

const integer = (field: number, value: number) => bytePart(integerField(field, value));
const text = (field: number, value: string) => bytePart(bytesField(field, value));
const packed = (field: number, values: readonly number[]) =>
  bytePart(bytesField(field, Buffer.concat(values.map(varint))));
const float = (field: number, value: number) =>
  bytePart(Buffer.concat([varint(field * 8 + 5), Buffer.from(Float32Array.of(value).buffer)]));

/** The file, chunk by chunk. */
export function* onnxChunks(model: OnnxModel): Generator<Uint8Array> {
  const graph = message(
    7,
    ...model.nodes.map(node),
    text(2, model.name),
    ...model.initializers.map((each) => tensor(5, each)),
    ...model.inputs.map((each) => value(11, each)),
    ...model.outputs.map((each) => value(12, each)),
  );
  const opset = message(8, text(1, ''), integer(2, model.opset));
  const file = join([integer(1, IR_VERSION), text(2, model.producer), graph, opset]);
  for (const chunk of file.chunks) yield typeof chunk === 'function' ? chunk() : chunk;
}

function node({ name, type, inputs, outputs, attributes }: OnnxNode): Part {
  return message(
    1,
    ...inputs.map((input) => text(1, input)),
    ...outputs.map((output) => text(2, output)),
    text(3, name),
    text(4, type),
    ...[...attributes].map(([key, each]) => message(5, text(1, key), ...attribute(each))),
  );
}

// AttributeProto: f 2, i 3, s 4, t 5, floats 7, ints 8, type 20.
function attribute({ type, value: content }: OnnxAttribute): Part[] {
  switch (type) {
    case 'float':
      return [float(2, content), integer(20, 1)];
    case 'int':
      return [integer(3, content), integer(20, 2)];
    case 'string':
      return [text(4, content), integer(20, 3)];
    case 'tensor':
      return [tensor(5, content), integer(20, 4)];
    case 'floats':
      return [...content.map((each) => float(7, each)), integer(20, 6)];
    case 'ints':
      return [packed(8, content), integer(20, 7)];
    case 'other':
      return [];
  }
}

function tensor(field: number, { name, shape, type, bytes }: OnnxTensor): Part {
  const { number, size } = elementType(type);
  const length = size * elementCount(shape);
  const data: Part = { length, chunks: [bytes] };
  return message(
    field,
    packed(1, shape),
    integer(2, number),
    text(8, name),
    join([bytePart(lengthDelimited(9, length)), data]),
  );
}

function value(field: number, { name, type, shape }: OnnxValue): Part {
  const dims = (shape ?? []).map((dim) =>
    message(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)),
  );
  return message(
    field,
    text(1, name),
    message(2, message(1, integer(1, elementType(type).number), message(2, ...dims))),
  );
}
