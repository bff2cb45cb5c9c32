/** The net that a solver trains, between its steps: pycaffe's solver.net. */
import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { Shapes } from '../base/shape.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { Outputs } from '../device/model.ts';
import type { NewWeights } from '../device/new-weights.ts';
import type { Learnable, WeightsOptions } from '../device/trainer.ts';
import type { SolverTrainer } from './training-device.ts';

export class LiveNet {
  /** Input blobs by name, with their shapes. */
  readonly inputs: Shapes;
  /** Caffe's learnable_params, in their order. */
  readonly learnable: readonly Learnable[];
  /**
   * Blobs in `blobs` that are not outputs of the net.
   * @internal
   */
  readonly shown: ReadonlySet<string>;
  readonly #trainer: SolverTrainer;
  #last: Outputs | null = null;

  /**
   * Use `solver.open()`.
   * @internal
   */
  constructor(trainer: SolverTrainer, shown: ReadonlySet<string>) {
    this.#trainer = trainer;
    this.inputs = trainer.inputs;
    this.learnable = trainer.learnable;
    this.shown = shown;
  }

  /**
   * The blobs of the last pass, before its update: the net's outputs and the blobs named in the solver's `outputs`, like
   * `net.blobs[name].data` in pycaffe.
   * @throws ArgumentError before the first step, and for a blob that was not requested
   * @example new Solver({ solver, device, outputs: ['conv1', 'res5c'] })
   */
  get blobs(): Outputs {
    if (this.#last === null) throw new ArgumentError('blobs', 'a solver that has made a step', 'none');
    return new Proxy(this.#last, { get: (last, name) => this.#blob(last, name) });
  }

  /** All layers with their blobs, as from `Trainer.weights`: pycaffe's net.params, which `saveCaffemodel` can write. */
  async weights(options: WeightsOptions = {}): Promise<WeightsFile> {
    return this.#trainer.weights(options);
  }

  /** Changes weights, as `Trainer.setWeights` does: pycaffe's `net.params[layer][i].data[...] = …` and `net.copy_from`. */
  async setWeights(weights: NewWeights): Promise<void> {
    return this.#trainer.setWeights(weights);
  }

  /** @internal */
  keep(outputs: Outputs): void {
    this.#last = outputs;
  }

  #blob(last: Outputs, name: string | symbol): unknown {
    if (typeof name !== 'string' || Object.hasOwn(last, name) || name in Object.prototype || name === 'then')
      return Reflect.get(last, name);
    throw new ArgumentError(
      'blobs',
      `blobs that are kept (${Object.keys(last).join(', ')}); name others in the solver's outputs`,
      name,
      didYouMean(name, Object.keys(last)),
    );
  }
}
