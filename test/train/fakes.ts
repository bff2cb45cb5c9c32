/** A fake device, trainer and data that record their calls, for tests of the solver's own order. */
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import type { DataSource } from '../../ts/data/source.ts';
import type { TrainOptions } from '../../ts/device/trainer.ts';
import type { SolverEvent } from '../../ts/train/events.ts';
import type { OpenData } from '../../ts/train/open-training.ts';
import { Solver, type SolverOptions } from '../../ts/train/solver.ts';
import type { SolverTrainer, TrainingDevice } from '../../ts/train/training-device.ts';

export const NET = `
  name: "fake"
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { source: "train" } }
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } data_param { source: "test" } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 bias_term: false weight_filler { type: "msra" } } }
  layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 2 }`;

export interface Fakes {
  /** `step 0.1 first last`, `test`, `state`: what happened, in order. */
  readonly calls: string[];
  /** The loss of each pass; called with the number of the pass in the run. */
  loss: (pass: number) => number;
  batchNorms: SolverTrainer['batchNorms'];
  /** How many updates were skipped after this many passes. */
  skipped: (passes: number) => number;
  /** Whether the source takes batches back, recorded as `recycle 3`. */
  recycles: boolean;
  /** The trainer's dynamic loss scale; null: it has none. */
  lossScale: { readonly factor: number; readonly since: number } | null;
  /** The options with which the trainer was opened. */
  trainOptions: TrainOptions | null;
  /** How many objects are not disposed. */
  open: number;
  readonly device: TrainingDevice;
  readonly data: OpenData;
}

export function fakes(): Fakes {
  const calls: string[] = [];
  const world: Fakes = {
    calls,
    loss: () => 1,
    batchNorms: [],
    skipped: () => 0,
    recycles: false,
    lossScale: null,
    trainOptions: null,
    open: 0,
    data: async (net) => {
      world.open++;
      const name = (net.layer![0]!.data_param as { source: string }).source;
      const source = countingSource(name, () => world.open--);
      if (!world.recycles) return source;
      return { ...source, recycle: ({ data }) => calls.push(`recycle ${data![0]}`) };
    },
    device: {
      name: 'fake',
      async train(options) {
        world.trainOptions = options;
        world.open++;
        return fakeTrainer(world, options);
      },
      async load(options) {
        world.open++;
        const [layer] = (options.weights as WeightsFile).layers;
        calls.push(`load ${options.phase} ${toFloat32(layer!.blobs[0]!)[0]}`);
        const scalar = (value: number) => ({ shape: [], data: Float32Array.of(value) });
        let isOpen = true;
        return {
          run: async (inputs, { copyInputs } = {}) => {
            if (!isOpen) throw new Error('the model is closed');
            const data = (inputs as { data: Float32Array }).data[0]!;
            calls.push(`test ${data}${copyInputs === false ? ' in place' : ''}`);
            return { accuracy: scalar(data / 10), loss: scalar(data) };
          },
          [Symbol.dispose]: () => {
            isOpen = false;
            world.open--;
          },
        };
      },
    },
  };
  return world;
}

function fakeTrainer(world: Fakes, options: TrainOptions): SolverTrainer {
  let pass = 0;
  const begin =
    typeof options.weights === 'object'
      ? toFloat32((options.weights as WeightsFile).layers[0]!.blobs[0]!)[0]!
      : 0;
  const weight = Float32Array.of(begin, begin, begin);
  const history = options.history?.[0]?.slice() ?? new Float32Array(3);
  const dispose = () => {
    world.open--;
  };
  return {
    inputs: options.inputShapes!,
    outputs: { loss: [] },
    lossWeights: { loss: 2 },
    learnable: [
      { layer: 'ip', index: 0, shape: [3, 1], lrMult: 1, decayMult: 1, places: [{ layer: 'ip', index: 0 }] },
    ],
    batchNorms: world.batchNorms,
    get skippedUpdates() {
      return world.skipped(pass);
    },
    get lossScale() {
      return world.lossScale?.factor ?? 1;
    },
    get lossScaleState() {
      return world.lossScale;
    },
    set lossScaleState(state) {
      world.lossScale = state;
    },
    report: [{ layer: 'ip', status: options.weights === undefined ? 'missing' : 'matched', detail: '' }],
    async step(inputs, { rate, first, last }, { copyInputs } = {}) {
      const data = (inputs as { data: Float32Array }).data[0];
      const how = `${first ? ' first' : ''}${last ? ' last' : ''}${copyInputs === false ? ' in place' : ''}`;
      world.calls.push(`step ${data}${how}`);
      if (last) {
        weight.fill(Math.fround(weight[0]! + 1));
        history.fill(rate);
      }
      return { loss: { shape: [], data: Float32Array.of(world.loss(pass++)) } };
    },
    gradients: () => Promise.reject(new Error('not in a fake')),
    weights: async () => ({
      file: '',
      name: 'fake',
      layers: [{ name: 'ip', type: 'InnerProduct', blobs: [blobFromFloats([3, 1], weight.slice())] }],
    }),
    setWeights: () => Promise.reject(new Error('not in a fake')),
    history: async () => [history.slice()],
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Batches 0, 1, 2, …; its state is the next one's number. */
export function countingSource(name: string, onDispose: () => void = () => {}): DataSource {
  let next = 0;
  return {
    shapes: { data: [4, 1], label: [4] },
    epochSize: name === 'train' ? 100 : 40,
    waited: 0,
    next: async (signal) => {
      signal?.throwIfAborted();
      return { data: new Float32Array(4).fill(next++), label: new Float32Array(4) };
    },
    state: () => next,
    restore: (state) => {
      next = state as number;
    },
    dispose: async () => onDispose(),
  };
}

/** A solver over fakes; `text` is the rest of its file besides the net, rate and policy. */
export function fakeSolver(world: Fakes, folder: string, text: string, options: Partial<SolverOptions> = {}) {
  const file = `base_lr: 0.5 lr_policy: "fixed" snapshot_prefix: "${folder}/fake" net_param { ${NET} } ${text}`;
  const solver = readSolver(file, { file: `${folder}/solver.prototxt` });
  return new Solver({ solver, device: world.device, data: world.data, ...options });
}

/** All events of a run; `onEvent` gets each at once. */
export async function collect(
  solver: Solver,
  onEvent: (event: SolverEvent) => void = () => {},
  signal?: AbortSignal,
): Promise<SolverEvent[]> {
  const events: SolverEvent[] = [];
  for await (const event of solver.run(signal === undefined ? {} : { signal })) {
    events.push(event);
    onEvent(event);
  }
  return events;
}

/** The events of one type. */
export const ofType = <T extends SolverEvent['type']>(events: readonly SolverEvent[], type: T) =>
  events.filter((event): event is Extract<SolverEvent, { type: T }> => event.type === type);
