/** Helpers with which the rules of to-onnx-operators.ts and related files write operators. */
import type { Operation } from '../layers/operation.ts';
import type { LayerWriter } from './layer-writer.ts';
import type { OnnxAttribute } from './onnx-proto.ts';

export type Of<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

export const int = (value: number): OnnxAttribute => ({ type: 'int', value });
export const float = (value: number): OnnxAttribute => ({ type: 'float', value });
export const text = (value: string): OnnxAttribute => ({ type: 'string', value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ type: 'ints', value });

/** TensorProto.DataType. */
export const [FLOAT, INT64, BOOL, DOUBLE] = [1, 7, 9, 11];

/** A rule that reports why ONNX cannot express the layer. */
export const refused = (reason: string) =>
  Object.assign((layer: LayerWriter): never => layer.fail(reason), { reason });

/** Attributes of Conv and ConvTranspose. */
export const windowAttributes = ({
  kernel,
  stride,
  pad,
  dilation,
  group,
}: Of<'convolution'> | Of<'deconvolution'>): Record<string, OnnxAttribute> => ({
  kernel_shape: ints(kernel),
  strides: ints(stride),
  pads: ints([...pad, ...pad]),
  dilations: ints(dilation),
  group: int(group),
});
