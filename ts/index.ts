/** resnode: deep residual networks from Caffe's files, natively in Node.js. */

export { type DataLayersOptions, dataLayers } from './architectures/data-layers.ts';
export type { PaperOptions, PhaseAugment } from './architectures/paper-training.ts';
export { type ResnetDepth, type ResnetOptions, resnet } from './architectures/resnet.ts';
export {
  type ResnetTrainingOptions,
  resnetTraining,
  type TrainingFiles,
} from './architectures/resnet-training.ts';
export {
  cifarSolver,
  imagenetSolver,
  type LinearSolverOptions,
  linearSolver,
  type SolverTarget,
} from './architectures/solver-presets.ts';
export { writeTrainingFiles } from './architectures/training-files.ts';
export { replaceHead, type TrainingNetOptions, trainingNet } from './architectures/training-net.ts';
export type { FileSource } from './base/sources.ts';
export type { Warning } from './base/warn.ts';
export { type Blob, blobFromFloats, toFloat32, toFloat64 } from './caffe/blob.ts';
export { readBinaryproto, readCaffemodel, type WeightsFile, type WeightsLayer } from './caffe/caffemodel.ts';
export {
  type CheckedSolver,
  checkSolver,
  type LearningRatePolicy,
  type SolverNet,
  type SolverSettings,
  type SolverType,
  type SolverWarning,
  solverNetState,
} from './caffe/check-solver.ts';
export { readHdf5Weights, writeHdf5Weights } from './caffe/hdf5-weights.ts';
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
export type { ForkField, ForkFieldHandler } from './caffe/prototxt.ts';
export {
  readSolver,
  readSolverFile,
  type SolverNetState,
  type SolverParameter,
} from './caffe/solver-parameter.ts';
export {
  readSolverState,
  type SolverState,
  saveHdf5SolverState,
  saveSolverState,
} from './caffe/solver-state.ts';
export {
  type NetWeights,
  saveCaffemodel,
  writeBinaryproto,
  writeCaffemodel,
} from './caffe/write-caffemodel.ts';
export { type DeployOptions, deployNet } from './convert/deploy-net.ts';
export {
  type Conversion,
  type ConversionCheck,
  type ConvertOptions,
  conversions,
  convert,
  type Format,
  mergeAffine,
  type Network,
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
} from './convert/index.ts';
export { onnxTops } from './convert/onnx-tops.ts';
export { trainNet } from './convert/train-net.ts';
export { type Augment, IMAGENET_LIGHTING, type Lighting, readAugment } from './data/augment.ts';
export {
  type ConvertDatasetOptions,
  type ConvertImagesOptions,
  type ConvertRawOptions,
  convertImages,
  convertRawImages,
  type NamedImage,
} from './data/convert-dataset.ts';
export type { Datum } from './data/datum.ts';
export { type ImageListOptions, readImageList } from './data/image-list.ts';
export type { DataLayerOptions } from './data/layer-context.ts';
export { readLmdb } from './data/lmdb.ts';
export { type MeanOfImages, meanOfImages, writeMeanImage } from './data/mean-image.ts';
export { openDataLayer } from './data/open-data-layer.ts';
export { type NetDataOptions, openNetData } from './data/open-net-data.ts';
export { type RawImages, readCifar, readIdx } from './data/raw-images.ts';
export { readInputShapes } from './data/read-shapes.ts';
export type { ListedImage } from './data/reader.ts';
export type { Batch, DataSource } from './data/source.ts';
export * from './errors.ts';
export {
  type DatasetOptions,
  type LabelledFiles,
  type MatchedBy,
  readLabelledImages,
} from './evaluate/dataset.ts';
export {
  type Evaluated,
  type EvaluateOptions,
  evaluateImages,
  type LazySample,
  type Progress,
  type Sample,
  type SkippedImage,
} from './evaluate/evaluate-images.ts';
export { fullyConvolutional } from './evaluate/fully-convolutional.ts';
export { openProgressFile, type ProgressFile } from './evaluate/progress-file.ts';
export { type PublishedError, type PublishedViews, publishedErrors } from './evaluate/published.ts';
export {
  type EvaluationRecipe,
  evaluationRecipe,
  type FileHash,
  type RecipeInput,
} from './evaluate/recipe.ts';
export {
  compareResults,
  type EvaluationResult,
  type EvaluationSource,
  type ResultComparison,
} from './evaluate/result.ts';
export { readSamples, type Samples, type SamplesOptions } from './evaluate/samples.ts';
export {
  type CalibrationBin,
  type ClassCount,
  type Confusion,
  type Outcome,
  type OutcomeSummary,
  outcomeOf,
  type Share,
  summariseOutcomes,
  wilsonInterval,
} from './evaluate/statistics.ts';
export { tenCropCorners } from './evaluate/ten-crop.ts';
export { type CalibrateOptions, calibrate } from './features/calibrate.ts';
export { camOverlay } from './features/cam-overlay.ts';
export {
  type CamTail,
  type ClassActivationMap,
  classActivationMap,
  findCamTail,
} from './features/class-activation-map.ts';
export { extractFeatures, type FeatureOptions, type Features } from './features/extract-features.ts';
export type { Shape } from './graph/builder.ts';
export type { Shapes } from './graph/data-shapes.ts';
export { type GraphOptions, graphFromCaffe } from './graph/from-caffe.ts';
export type * from './graph/graph.ts';
export { type ReceptiveField, receptiveFields } from './graph/receptive-field.ts';
export { type Summary, type SummaryRow, summarise } from './graph/summary.ts';
export { type DecodeLimits, type DecodeOptions, decodeImage } from './image/decode.ts';
export type { Resize, Size } from './image/geometry.ts';
export type { DeepImage, Image } from './image/image.ts';
export { readLabels } from './image/labels.ts';
export { type MeanImage, msraPreprocess, type Preprocess, preprocessImage } from './image/preprocess.ts';
export { loadPreprocess, readMeanImage, savePreprocess } from './image/preprocess-file.ts';
export { type Finding, type LintOptions, lintFile, lintPrototxt } from './lint/lint.ts';
export type { Level as FindingLevel } from './lint/rule.ts';
export { type LintRule, lintRules } from './lint/rules.ts';
export type { DriverMemory, Precision } from './native/binding.ts';
export type { Cause, CauseName } from './parity/against-cause.ts';
export { type Dump, readDump } from './parity/against-dump.ts';
export { compareInput, type InputCauseName, type InputComparison } from './parity/against-input.ts';
export {
  type CompareOptions,
  compareLayers,
  type LayerDifference,
  type LayersComparison,
} from './parity/against-layers.ts';
export { deviceTops, type NetToRun, type Tops, type TopsSource } from './parity/against-tops.ts';
export type { FloatPrecision } from './parity/check-case.ts';
export { type Pass, type PassesOptions, runPasses } from './passes/index.ts';
export { type BufferShape, type BufferType, DeviceBuffer } from './runtime/buffer.ts';
export {
  type Calibration,
  type CalibrationMethod,
  calibrationOf,
  readCalibration,
  saveCalibration,
} from './runtime/calibration.ts';
export { Communicator, openCommunicator } from './runtime/communicator.ts';
export {
  Device,
  type DeviceKind,
  type DeviceOptions,
  type LoadOptions,
  openDevice,
} from './runtime/device.ts';
export { type DeviceInfo, type Devices, devices } from './runtime/devices.ts';
export type { DeviceMemory } from './runtime/memory.ts';
export type { Model, ModelPlan, Outputs, RunOptions } from './runtime/model.ts';
export type * from './runtime/ops.ts';
export { compileOperation, ops } from './runtime/ops.ts';
export type { Input, InputArray, Inputs, Tensor } from './runtime/tensor.ts';
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
} from './runtime/trainer.ts';
export { averageStatistics, type Statistics, type StatisticsOptions } from './train/batch-norm-statistics.ts';
export type { CurvePoint } from './train/curve.ts';
export type {
  DebugInfoEvent,
  DivergedEvent,
  DoneEvent,
  IterationEvent,
  LayerBatchNorm,
  OutputValue,
  SnapshotEvent,
  SolverEvent,
  StartEvent,
  TestEvent,
  WarningEvent,
} from './train/events.ts';
export {
  type EvaluatedEvent,
  type FinetuneEvent,
  type FinetuneOptions,
  finetune,
  type SplitEvent,
  type WrittenEvent,
} from './train/finetune.ts';
export type { TunedPreprocess } from './train/finetune-files.ts';
export type { OpenData, TrainingOptions } from './train/open-training.ts';
export { openReport, type Report } from './train/report.ts';
export type { ReportData, ReportSection } from './train/report-data.ts';
export { Schedule, type ScheduleExtensions, type ScheduleSettings } from './train/schedules.ts';
export { Solver, type SolverOptions, type SolverRequest } from './train/solver.ts';
export { solverData } from './train/solver-data.ts';
export { type TestOptions, type TestResult, testNet } from './train/test-net.ts';
export type { SolverTrainer, TestedModel, TrainingDevice } from './train/training-device.ts';
export type { ActivationOptions } from './view/activation-pictures.ts';
export { type DescribeOptions, type Description, describeNet } from './view/describe-net.ts';
export { type ForkMarks, readNetWithMarks } from './view/fork-marks.ts';
export { type MeasuredOperation, type MeasuredTimes, readTimes } from './view/measured-times.ts';
export type * from './view/page-data.ts';
export { addActivations, addFilters } from './view/page-pictures.ts';
export type { PartialGraph } from './view/partial-graph.ts';
export type { TracedBlob, TracedLayer } from './view/trace-layers.ts';
export { pageText } from './view/write-page.ts';
