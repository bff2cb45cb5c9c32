/**
 * `resnode/train`: the solver with Caffe's semantics, fine-tuning, nets and solvers for training, snapshots, reports.
 * @module
 */

export { type DataLayersOptions, dataLayers } from '../architectures/data-layers.ts';
export { type ArchitectureRow, architectures } from '../architectures/list.ts';
export type { PaperOptions, PhaseAugment } from '../architectures/paper-training.ts';
export {
  type ResnetTrainingOptions,
  resnetTraining,
  type TrainingFiles,
} from '../architectures/resnet-training.ts';
export {
  cifarSolver,
  imagenetSolver,
  type LinearSolverOptions,
  linearSolver,
  type SolverTarget,
} from '../architectures/solver-presets.ts';
export { writeTrainingFiles } from '../architectures/training-files.ts';
export { replaceHead, type TrainingNetOptions, trainingNet } from '../architectures/training-net.ts';
export {
  type CheckedSolver,
  checkSolver,
  type LearningRatePolicy,
  type SolverNet,
  type SolverSettings,
  type SolverType,
  type SolverWarning,
  solverNetState,
} from '../caffe/check-solver.ts';
export {
  readSolver,
  readSolverFile,
  type SolverNetState,
  type SolverParameter,
} from '../caffe/solver-parameter.ts';
export {
  readSolverState,
  type SolverState,
  saveHdf5SolverState,
  saveSolverState,
} from '../caffe/solver-state.ts';
export { Communicator, openCommunicator, type ReceiveOptions } from '../device/communicator.ts';
export { type NetBetweenOptions, netBetween } from '../graph/net-between.ts';
export type { TunedPreprocess } from '../images/preprocess.ts';
export type { Axis, Chart, ChartPoint, Series } from '../pages/chart.ts';
export {
  averageStatistics,
  type Statistics,
  type StatisticsOptions,
} from '../train/batch-norm-statistics.ts';
export type {
  ClassPrecision,
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
} from '../train/events.ts';
export type {
  EvaluatedEvent,
  FinetuneEvent,
  LabelsEvaluatedEvent,
  SplitEvent,
  StoppedEvent,
  WrittenEvent,
} from '../train/finetune/events.ts';
export { finetune } from '../train/finetune/finetune.ts';
export type { FinetuneOptions } from '../train/finetune/options.ts';
export type { LiveNet } from '../train/live-net.ts';
export {
  type LogCurve,
  type LogOutput,
  readTrainingLog,
  type TrainingLog,
} from '../train/logs/read-training-log.ts';
export type { OpenData, TrainingOptions } from '../train/open-training.ts';
export type { CurvePoint } from '../train/report/curve.ts';
export type { ConfusionMatrix, ReportData, ReportPicture, ReportSection } from '../train/report/data.ts';
export { openReport, type Report } from '../train/report/report.ts';
export { Schedule, type ScheduleExtensions, type ScheduleSettings } from '../train/schedules.ts';
export {
  Solver,
  type SolverOptions,
  type SolverRequest,
  type StepOptions,
  type StepResult,
} from '../train/solver.ts';
export { solverData } from '../train/solver-data.ts';
export { type TestOptions, type TestResult, testNet } from '../train/test-net.ts';
export type { SolverTrainer, TestedModel, TrainingDevice } from '../train/training-device.ts';
