/**
 * `resnode/convert`: conversion between formats of nets and weights, and calibration for int8.
 * @module
 */

export { readHdf5Weights, writeHdf5Weights } from '../caffe/hdf5-weights.ts';
export {
  type Calibration,
  type CalibrationMethod,
  calibrationOf,
  readCalibration,
  saveCalibration,
} from '../compile/calibration.ts';
export {
  type Conversion,
  type ConversionCheck,
  type ConvertOptions,
  conversions,
  convert,
  type Format,
  mergeAffine,
  type Network,
  type NetworkToWrite,
  type ReadOptions,
  type ReadResult,
  type RunInputs,
  type Runner,
  readKerasResnet,
  readOnnxFile,
  readSafetensorsFile,
  readTorchResnet,
  writeOnnxFile,
  writeSafetensorsFile,
} from '../convert/index.ts';
export { onnxTops } from '../convert/onnx-tops.ts';
export { type CalibrateOptions, calibrate } from '../quantize/calibrate.ts';
