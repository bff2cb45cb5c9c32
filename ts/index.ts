/** resnode: deep residual networks from Caffe's files, natively in Node.js. */

export { type ResnetOptions, resnet } from './architectures/resnet.ts';
export { readBinaryproto, readCaffemodel } from './caffe/caffemodel.ts';
export { filterNet, type NetParameter, readNet } from './caffe/net-parameter.ts';
export { printPrototxt } from './caffe/print.ts';
export * from './errors.ts';
export { graphFromCaffe } from './graph/from-caffe.ts';
export { type Summary, type SummaryRow, summarise } from './graph/summary.ts';
export { runPasses } from './passes/index.ts';
export {
  Device,
  type DeviceKind,
  type DeviceOptions,
  type LoadOptions,
  openDevice,
} from './runtime/device.ts';
export type { DeviceMemory } from './runtime/memory.ts';
export type { Model, ModelPlan, Outputs, RunOptions } from './runtime/model.ts';
export type { Input, Inputs, Shapes, Tensor } from './runtime/tensor.ts';
