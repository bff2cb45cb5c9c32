/** Runs the test nets of a solver with the current weights (Solver::TestAll). */

import type { SolverSettings } from '../caffe/check-solver.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import type { TestEvent, WarningEvent } from './events.ts';
import type { TestNet, Training, TrainingOptions } from './open-training.ts';
import { detectionOutputs, testNet } from './test-net.ts';

type SolverDevice = TrainingOptions['device'];

/** The state of the run that is tested. */
interface TestedRun {
  readonly iteration: number;
  readonly signal: AbortSignal | undefined;
  /** Called after each batch; if a stop was requested, the test ends without a result. */
  readonly isStopAsked: () => boolean;
}

/** Solver::TestAll; a stop ends it without a result. */
export async function* testEvents(
  training: Training,
  device: SolverDevice,
  parameters: SolverSettings,
  run: TestedRun,
): AsyncGenerator<TestEvent | WarningEvent, void, void> {
  for (const [i, net] of training.tests.entries()) {
    const begin = performance.now();
    const result = await test(net, training, device, parameters, run);
    if (result === null) return;
    const bad = result.outputs.find(({ values }) => !values.every(Number.isFinite));
    if (bad !== undefined) {
      const { blobs, values } = graphFromCaffe(net.filtered, {
        phase: net.state.phase,
        inputShapes: net.source.shapes,
      });
      yield {
        type: 'warning',
        code: 'solver/test-not-finite',
        message: `test net ${i} at iteration ${run.iteration}: output "${bad.name}", of layer "${values[blobs.get(bad.name) ?? -1]?.layer ?? bad.name}", is not finite`,
      };
    }
    yield {
      type: 'test',
      iteration: run.iteration,
      net: i,
      iterations: net.iterations,
      outputs: result.outputs,
      loss: parameters.test_compute_loss === true ? result.loss : null,
      seconds: (performance.now() - begin) / 1000,
    };
  }
}

async function test(
  { net, filtered, state, source, iterations, lossWeights }: TestNet,
  { trainer }: Training,
  device: SolverDevice,
  parameters: SolverSettings,
  { signal, isStopAsked }: TestedRun,
) {
  const hdf5 = hdf5Outputs(filtered);
  using model = await device.load({
    model: net,
    ...state,
    weights: await trainer.weights(parameters.ema_decay > 0 ? { average: true } : {}),
    inputShapes: source.shapes,
    moreOutputs: hdf5Blobs(hdf5),
  });
  return await testNet(model, source, {
    iterations,
    lossWeights,
    detections: detectionOutputs(filtered),
    hdf5,
    filtered,
    apVersion: parameters.ap_version,
    perClass: parameters.show_per_class_result,
    signal,
    onBatch: () => !isStopAsked(),
  });
}
