/** The events of a fictitious training run, as a solver reports them. */
import type { SolverEvent } from '../../ts/train/events.ts';

/** @param iterations With a test after every tenth. */
export function* trainingEvents(iterations: number): Generator<SolverEvent> {
  const output = (name: string, value: number, lossWeight = 0) => ({ name, values: [value], lossWeight });
  yield {
    type: 'start',
    net: 'ResNet-20 <made up>',
    solver: 'runs/solver.prototxt',
    device: 'cpu',
    iteration: 0,
    maxIterations: iterations,
    rule: 'Nesterov',
    policy: 'poly',
    warmup: { iterations: 100, rate: 0.01 },
    batch: 64,
    samplesPerIteration: 128,
    epochSize: 60_000,
    learnable: 272_474,
    seed: 7,
    batchNorms: ['bn_conv1', 'bn2a_branch2a'].map((layer) => ({
      layer,
      statistics: 'batch',
      reason: 'phase TRAIN',
    })),
    loaded: [],
    filled: ['conv1', 'fc10'],
    unused: [],
    weights: null,
    tests: [{ iterations: 100 }],
  };
  yield { type: 'warning', code: 'solver/iter-size-batch-norm', message: 'iter_size 2 with live BatchNorm' };
  const tenth = Math.ceil(iterations / 10);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const t = iteration / iterations;
    const loss = 2.3 * Math.exp(-5 * t) + 0.08 * (1 + Math.sin(iteration * 12.9898) ** 3);
    yield {
      type: 'iteration',
      iteration,
      display: iteration % 20 === 0,
      loss,
      smoothedLoss: loss,
      rate: 0.1 * (1 - t),
      outputs: [output('loss', loss, 1)],
      imagesPerSecond: iteration === 0 ? 0 : 500 + 20 * Math.sin(iteration),
      elapsed: iteration / 4,
      remaining: null,
      waiting: 0.01,
    };
    if ((iteration + 1) % tenth === 0)
      yield {
        type: 'test',
        iteration: iteration + 1,
        net: 0,
        iterations: 100,
        outputs: [output('loss', loss + 0.1, 1), output('top-1', 0.95 - loss / 3), output('top-5', 0.999)],
        loss: null,
        seconds: 4.2,
      };
  }
  yield {
    type: 'snapshot',
    iteration: iterations,
    weights: 'runs/fashion_iter.caffemodel',
    state: 'runs/fashion_iter.solverstate',
    reason: 'end',
    seconds: 0.1,
  };
  yield {
    type: 'done',
    iteration: iterations,
    reason: 'finished',
    loss: 0.1,
    smoothedLoss: 0.11,
    weights: 'runs/fashion_iter.caffemodel',
    seconds: iterations / 4,
    imagesPerSecond: 512,
    waiting: 0.012,
  };
}
