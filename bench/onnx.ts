/** A residual net as ONNX (opset 13), so that a peer can run the very same weights. Wire format by hand: few fields. */

import type { Graph } from '../ts/graph/graph.ts';
import { runPasses } from '../ts/passes/index.ts';
import { lower } from '../ts/program/lower.ts';
import { type BlobSource, packWeights } from '../ts/program/pack-weights.ts';

type Part = Uint8Array;

const varint = (value: number): Part => {
  const bytes = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.of(...bytes, Number(rest));
};
const integer = (field: number, value: number): Part => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field: number, value: Part | string): Part => {
  const data = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint(field * 8 + 2), varint(data.length), data]);
};
const message = (field: number, ...parts: Part[]): Part => bytes(field, Buffer.concat(parts));

const ints = (name: string, values: readonly number[]) =>
  message(5, bytes(1, name), ...values.map((value) => integer(8, value)), integer(20, 7));
const int = (name: string, value: number) => message(5, bytes(1, name), integer(3, value), integer(20, 2));
const node = (type: string, inputs: string[], output: string, ...attributes: Part[]) =>
  message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, type), ...attributes);
const info = (field: number, name: string, shape: readonly number[]) =>
  message(
    field,
    bytes(1, name),
    message(2, message(1, integer(1, 1), message(2, ...shape.map((dim) => message(1, integer(1, dim)))))),
  );

/** Writes a graph of convolutions, sums, ReLU, pooling, inner product and softmax; BatchNorm and Scale are folded first. */
export function toOnnx(graph: Graph, source: BlobSource): Uint8Array {
  const folded = runPasses(graph, { only: ['drop-identity', 'remove-unused', 'fold-affine'] });
  const { program, recipes } = lower(folded);
  const data = packWeights(recipes, source);
  const parts: Part[] = [];
  const used = new Set<number>();
  const parameter = (id: number) => {
    used.add(id);
    return `p${id}`;
  };
  program.operations.forEach((operation, i) => {
    const inputs = operation.inputs.map((id) => `t${id}`);
    const output = `t${operation.outputs[0]}`;
    switch (operation.kind) {
      case 'convolution': {
        const names = [
          ...inputs,
          parameter(operation.weights),
          ...(operation.bias === null ? [] : [parameter(operation.bias)]),
        ];
        parts.push(
          node(
            'Conv',
            names,
            output,
            ints('kernel_shape', operation.kernel),
            ints('strides', operation.stride),
            ints('pads', [...operation.pad, ...operation.pad]),
            ints('dilations', operation.dilation),
            int('group', operation.group),
          ),
        );
        break;
      }
      case 'pooling':
        parts.push(
          node(
            operation.method === 'max' ? 'MaxPool' : 'AveragePool',
            inputs,
            output,
            ints('kernel_shape', operation.kernel),
            ints('strides', operation.stride),
            ints('pads', [...operation.pad, ...operation.pad]),
            int('ceil_mode', 1),
          ),
        );
        break;
      case 'innerProduct':
        parts.push(node('Flatten', inputs, `flat${i}`, int('axis', 1)));
        parts.push(
          node(
            'Gemm',
            [`flat${i}`, parameter(operation.weights), parameter(operation.bias!)],
            output,
            int('transB', 1),
          ),
        );
        break;
      case 'eltwise':
        parts.push(node('Add', inputs, output));
        break;
      case 'relu':
        parts.push(node('Relu', inputs, output));
        break;
      case 'softmax':
        parts.push(node('Softmax', inputs, output, int('axis', 1)));
        break;
      default:
        throw new Error(
          `layer "${operation.layer}": ${operation.kind} is not written to ONNX by this benchmark`,
        );
    }
  });
  const initializers = [...used].map((id) => {
    const { bytes: raw, channelScale } = data[id]!;
    const values = new Float32Array(
      raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength) as ArrayBuffer,
    );
    const inner = channelScale === null ? 1 : values.length / channelScale.length;
    const scaled =
      channelScale === null ? values : values.map((value, i) => value * channelScale[Math.floor(i / inner)]!);
    return message(
      5,
      ...program.parameters[id]!.shape.map((dim) => integer(1, dim)),
      integer(2, 1),
      bytes(8, `p${id}`),
      bytes(9, new Uint8Array(scaled.buffer)),
    );
  });
  const describe = (field: number, id: number) => info(field, `t${id}`, program.tensors[id]!.shape);
  const body = message(
    7,
    ...parts,
    bytes(2, 'net'),
    ...initializers,
    ...program.inputs.map((id) => describe(11, id)),
    ...program.outputs.map((id) => describe(12, id)),
  );
  return Buffer.concat([integer(1, 8), body, message(8, bytes(1, ''), integer(2, 13))]);
}
