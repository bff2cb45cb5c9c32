/** What a device does with nets: it reads each one, compiles it and returns it as a model or a trainer. */
import { ArgumentError } from '../base/errors.ts';
import { required, signature } from '../base/options.ts';
import { isLocation } from '../base/sources.ts';
import { type Warning, warn } from '../base/warn.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { ModelPlan } from '../compile/compile.ts';
import type { NetPart } from '../graph/net-between.ts';
import type { NativeDevice } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import type { Communicator } from './communicator.ts';
import { Compiler, type Say } from './compiler.ts';
import { type LoadOptions, loadOptions, planOptions, withFolder } from './load-options.ts';
import type { DeviceMemory } from './memory.ts';
import { Model } from './model.ts';
import { readForRuns, readForTraining } from './read-net.ts';
import { free } from './runner.ts';
import { emptyAxes, refuseLearningSelectors, Selector } from './selection.ts';
import {
  checkTrainOptions,
  planTrainingOptions,
  type TrainOptions,
  trainOptions,
  withCompleteUpdate,
} from './train-options.ts';
import type { Trainer } from './trainer.ts';

const LOAD = signature('device.load', { options: required(loadOptions, 'The net and how to run it.') });
const PLAN = signature('device.plan', { options: required(planOptions, 'The options of device.load.') });

const TRAIN = signature('device.train', {
  options: required(trainOptions, 'The net and how it learns.'),
});
const PLAN_TRAINING = signature('device.planTraining', {
  options: required(planTrainingOptions, 'The options of device.train.'),
});

/** The device of the nets; a net's reference to it keeps it from being collected. */
interface Place {
  readonly kind: string;
  readonly name: string;
  readonly communicator: Communicator | null;
  memory(): DeviceMemory;
}

interface NetsParts {
  readonly device: Place;
  /** Whether convolutions are measured if a net's options do not say. */
  readonly tune: boolean;
  /** Null: Node prints warnings. */
  readonly onWarning: ((warning: Warning) => void) | null;
}

type LoadLayerByLayer = (
  net: NetParameter,
  outputs: readonly string[],
  weights: WeightsFile,
) => Promise<Model>;

/** For auxiliary models: they print no warnings, and their outputs are not checked. */
const QUIET = { say: (warnings: readonly Warning[]) => warnings, loadLayerByLayer: null };

/** Implements the methods of `Device` with the same names. */
export class DeviceNets {
  readonly #device: Place;
  readonly #compiler: Compiler;
  readonly #onWarning: NetsParts['onWarning'];
  /** Passes warnings to the caller of openDevice, or else to Node, which prints each once. */
  readonly #say: Say = (warnings) => {
    for (const warning of warnings)
      if (this.#onWarning === null) warn(warning.code, warning.message);
      else this.#onWarning(warning);
    return warnings;
  };

  constructor(native: NativeDevice, { device, tune, onWarning }: NetsParts) {
    this.#device = device;
    this.#compiler = new Compiler(native, { device: device.name, tune, memory: () => device.memory() });
    this.#onWarning = onWarning;
  }

  async load(source: string | URL | LoadOptions, options: Omit<LoadOptions, 'model'>): Promise<Model> {
    if (typeof options !== 'object')
      throw new ArgumentError(
        'options',
        'an object',
        options,
        typeof options === 'string' ? 'weights are given as { weights: path }' : undefined,
      );
    const whole = isLocation(source) ? { ...options, model: source } : source;
    LOAD.check(whole);
    const request = withFolder(whole, ['model', 'weights']);
    const model = await this.#load(request, {
      say: this.#say,
      loadLayerByLayer: (net, outputs, weights) =>
        this.#loadLayerByLayer({ ...request, model: net, weights }, outputs),
    });
    try {
      for (const batch of request.batches ?? []) await model.keep(batch);
      return model;
    } catch (error) {
      model.dispose();
      throw convertError(error, this.#device.name);
    }
  }

  async train(given: TrainOptions): Promise<Trainer> {
    TRAIN.check(given);
    checkTrainOptions(given);
    const options = withCompleteUpdate(given);
    const read = await readForTraining(options, { kind: this.#device.kind, rank: this.#rank });
    // Imported only for training, because most processes only run nets.
    const { Trainer } = await import('./trainer.ts');
    const opened = await this.#compiler.open(read, this.#say);
    const { compiled } = opened;
    let selector: Selector | null = null;
    if (compiled.selections.length > 0) {
      try {
        refuseLearningSelectors(compiled);
      } catch (error) {
        opened.parameters.dispose();
        free(compiled);
        throw error;
      }
      // Shapes do not depend on weights, so none are read.
      const { inputShapes, batch } = options;
      const net: LoadOptions = {
        model: read.net,
        phase: read.net.state?.phase ?? 'TEST',
        inputShapes,
        batch,
      };
      selector = new Selector(compiled, (outputs) => this.#load({ ...net, outputs }, QUIET));
    }
    return new Trainer({
      device: this.#device.name,
      owner: this.#device,
      net: read.net,
      options,
      opened,
      selector,
      compile: (how) => this.#compiler.reshape(read, opened, undefined, how),
    });
  }

  async planTraining(options: Omit<TrainOptions, 'weights' | 'history'>): Promise<ModelPlan> {
    PLAN_TRAINING.check(options);
    checkTrainOptions(options);
    const read = await readForTraining(withCompleteUpdate(options), {
      kind: this.#device.kind,
      rank: this.#rank,
    });
    return this.#compiler.describe(read, this.#say);
  }

  async plan(options: Omit<LoadOptions, 'weights' | 'batches'>): Promise<ModelPlan> {
    PLAN.check(options);
    const read = await readForRuns(withFolder(options, ['model']), this.#device);
    return this.#compiler.describe(read, this.#say);
  }

  async #load(
    options: LoadOptions,
    { say, loadLayerByLayer }: { readonly say: Say; readonly loadLayerByLayer: LoadLayerByLayer | null },
  ): Promise<Model> {
    const read = await readForRuns(options, this.#device);
    const opened = await this.#compiler.open(read, say);
    const { selections } = opened.compiled;
    const model: Model = new Model({
      device: this.#device.name,
      owner: this.#device,
      net: read.net,
      seed: options.seed ?? 1,
      opened,
      keptShapes: options.keptShapes,
      compile: (shapes, how) => this.#compiler.reshape(read, opened, shapes, how),
      selector:
        selections.length === 0
          ? null
          : new Selector(opened.compiled, async (outputs) =>
              this.#load(
                { ...options, outputs, optimize: false, weights: await model.currentWeights() },
                QUIET,
              ),
            ),
      emptyAxes: (inputShapes, counts) =>
        emptyAxes((selected) => read.lower({ inputShapes, selected }), counts),
      loadLayerByLayer:
        loadLayerByLayer === null ? null : (outputs, weights) => loadLayerByLayer(read.net, outputs, weights),
      loadPart: (part, weights) => this.#loadPart(options, part, weights),
    });
    return model;
  }

  // Warnings about the whole net are not repeated for a part.
  #loadPart(
    { batch: _, batches: __, inputShapes: ___, strict: ____, ...options }: LoadOptions,
    { net, outputs }: NetPart,
    weights: WeightsFile,
  ): Promise<Model> {
    return this.#load({ ...options, model: net, outputs, weights }, QUIET);
  }

  // An auxiliary model that looks for the first non-finite value. It prints no warnings, and its own outputs are not
  // checked.
  #loadLayerByLayer(
    { calibration: _, batches: __, keptShapes: ___, precision, ...options }: LoadOptions,
    outputs: readonly string[],
  ): Promise<Model> {
    const exact = precision === 'int8' ? 'float32' : precision;
    return this.#load({ ...options, outputs, optimize: false, precision: exact }, QUIET);
  }

  get #rank(): number | undefined {
    return this.#device.communicator?.rank;
  }
}
