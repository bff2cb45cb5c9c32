/**
 * resnode runs and trains deep residual networks from Caffe's files, natively in Node.js. See also `resnode/train`,
 * `resnode/data`, `resnode/images`, `resnode/convert` and `resnode/tools`.
 */

export type { BlockKind, DataSet, FamilyName } from './architectures/families.ts';
export { type ResnetOptions, resnet } from './architectures/resnet.ts';
export type { ErrorCode } from './base/error-codes.ts';
export * from './base/errors.ts';
export type { Shape, Shapes } from './base/shape.ts';
export type { FileSource } from './base/sources.ts';
export type { Warning } from './base/warn.ts';
export { type Blob, blobFromFloats, toFloat32, toFloat64 } from './caffe/blob.ts';
export { readBinaryproto, readCaffemodel, type WeightsFile, type WeightsLayer } from './caffe/caffemodel.ts';
export type { LayerReport, MatchOptions } from './caffe/match-weights.ts';
export type { Message } from './caffe/message.ts';
export {
  filterNet,
  type LayerParameter,
  type NetParameter,
  type NetState,
  type NetStateRule,
  readNet,
  readNetFile,
} from './caffe/net-parameter.ts';
export { readNpy, writeNpy } from './caffe/npy.ts';
export { printPrototxt } from './caffe/print.ts';
export type { ForkField, ForkFieldHandler } from './caffe/prototxt-source.ts';
export {
  type NetWeights,
  saveCaffemodel,
  writeBinaryproto,
  writeCaffemodel,
} from './caffe/write-caffemodel.ts';
export type { ModelPlan } from './compile/compile.ts';
export { type DeployOptions, deployNet } from './convert/deploy-net.ts';
export { trainNet } from './convert/train-net.ts';
export { readInputShapes } from './data/read-shapes.ts';
export { type BufferShape, type BufferType, DeviceBuffer } from './device/buffer.ts';
export {
  Device,
  type DeviceKind,
  type DeviceOptions,
  type LoadOptions,
  openDevice,
} from './device/device.ts';
export { type DeviceInfo, type Devices, devices } from './device/devices.ts';
export type { ImageBytes, InputArray } from './device/input-array.ts';
export type { DeviceMemory } from './device/memory.ts';
export type { Model, Outputs, RunOptions } from './device/model.ts';
export type { BlobsByLayer, NewWeights } from './device/new-weights.ts';
export type * from './device/ops.ts';
export { compileOperation, ops } from './device/ops.ts';
export type { Input, Inputs, Tensor } from './device/tensor.ts';
export type {
  BatchNormMode,
  GradientOptions,
  Gradients,
  Learnable,
  PassOptions,
  Schedule as PassSchedule,
  TimedOperation,
  Trainer,
  TrainOptions,
  TrainPrecision,
  UpdateRule,
  WeightsOptions,
} from './device/trainer.ts';
export type { GraphOptions } from './graph/from-caffe.ts';
export { graphFromCaffe } from './graph/from-caffe.ts';
export type * from './graph/graph.ts';
export type { LayerRange } from './graph/net-between.ts';
export { type ReceptiveField, receptiveFields } from './graph/receptive-field.ts';
export { type Summary, type SummaryRow, summarise } from './graph/summary.ts';
export {
  type BottomDiffs,
  type HostFunction,
  type JavaScriptBlob,
  type JavaScriptLayer,
  type JavaScriptLayerInfo,
  type JavaScriptLayers,
  registerLayers,
  type TopValues,
} from './layers/javascript.ts';
export type * from './layers/operation.ts';
export type { DriverMemory, Precision } from './native/binding.ts';
/** The operations of a graph's nodes; docs/operations.md describes them. */
export type * as Operations from './operations/operations.ts';
export { type Pass, type PassesOptions, runPasses } from './passes/index.ts';
