/** The part of a Device that training uses, so that it can be tested without a device. */
import type { Communicator } from '../device/communicator.ts';
import type { LoadOptions } from '../device/device.ts';
import type { Model } from '../device/model.ts';
import type { Trainer, TrainOptions } from '../device/trainer.ts';

/** The part of a Trainer that a solver uses. */
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

/** The part of a Model that a solver uses to test. */
export type TestedModel = Pick<Model, 'run'> & Disposable;

export interface TrainingDevice {
  readonly name: string;
  /** The processes that train together; null or undefined if this is the only one. */
  readonly communicator?: Pick<Communicator, 'rank' | 'size' | 'sum'> | null;
  train(options: TrainOptions): Promise<SolverTrainer>;
  load(options: LoadOptions): Promise<TestedModel>;
}
