/** resnode: deep residual networks from Caffe's files, natively in Node.js. */
export * from './errors.ts';
export { filterNet, readNet, type NetParameter } from './caffe/net-parameter.ts';
export { printPrototxt } from './caffe/print.ts';
export { readBinaryproto, readCaffemodel } from './caffe/caffemodel.ts';
export { graphFromCaffe } from './graph/from-caffe.ts';
export { runPasses } from './passes/index.ts';
export { Device, openDevice, type DeviceOptions, type LoadOptions } from './runtime/device.ts';
export type { Model, RunOptions, Tensor } from './runtime/model.ts';
export { resnet, type ResnetOptions } from './architectures/resnet.ts';
