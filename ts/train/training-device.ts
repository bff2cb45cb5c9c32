/** What training asks of a Device, so that it can be tested without one. */
import type { Communicator } from '../device/communicator.ts';
import type { LoadOptions } from '../device/device.ts';
import type { Model } from '../device/model.ts';
import type { Trainer, TrainOptions } from '../device/trainer.ts';

/** A Trainer, as a solver uses it. */
export type SolverTrainer = Pick<
  Trainer,
  | 'inputs'
  | 'outputs'
  | 'lossWeights'
  | 'learnable'
  | 'batchNorms'
  | 'report'
  | 'step'
  | 'gradients'
  | 'weights'
  | 'setWeights'
  | 'history'
  | 'skippedUpdates'
  | 'lossScale'
  | 'lossScaleState'
  | 'dispose'
> &
  Disposable;

/** A Model, as a solver tests with it. */
export type TestedModel = Pick<Model, 'run'> & Disposable;

export interface TrainingDevice {
  readonly name: string;
  /** The processes that train together; none: this one is alone. */
  readonly communicator?: Pick<Communicator, 'rank' | 'size' | 'sum'> | null;
  train(options: TrainOptions): Promise<SolverTrainer>;
  load(options: LoadOptions): Promise<TestedModel>;
}
