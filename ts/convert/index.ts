/** Conversion between Caffe's files and others. */
export { readSafetensorsFile, writeSafetensorsFile } from './caffe-safetensors.ts';
export type { ConversionCheck, RunInputs, Runner } from './check.ts';
export { type Conversion, type ConvertOptions, convert } from './convert.ts';
export { conversions, extensionsOf, type Format, formats, type ReadOptions } from './formats.ts';
export { mergeAffine } from './merge.ts';
export type { Network, NetworkToWrite, ReadResult } from './network.ts';
export { readOnnxFile, writeOnnxFile } from './onnx-files.ts';
export { readKerasResnet } from './resnet/keras-resnet.ts';
export { readTorchResnet } from './resnet/read-torch-resnet.ts';
