/** The first event of a solver: the net, the device and the weights. */

import { elementCount } from '../base/shape.ts';
import type { SolverSettings } from '../caffe/check-solver.ts';
import { matchText } from '../caffe/match-weights.ts';
import type { StartEvent } from './events.ts';
import type { Training, TrainingOptions } from './open-training.ts';

/** The first event of a run. */
export function startEvent(
  { net, trainer, source, tests, seed }: Training,
  { device, warmup, cosine }: TrainingOptions,
  { max_iter, type, lr_policy, iter_size }: SolverSettings,
  at: Pick<StartEvent, 'solver' | 'iteration' | 'samplesPerIteration'>,
): StartEvent {
  const withStatus = (...wanted: string[]) =>
    trainer.report.filter(({ status }) => wanted.includes(status)).map(({ layer }) => layer);
  return {
    type: 'start',
    net: net.net.name ?? '',
    solver: at.solver,
    device: device.name,
    iteration: at.iteration,
    maxIterations: max_iter,
    rule: type,
    policy: cosine === true ? 'cosine' : lr_policy,
    warmup: warmup ?? null,
    batch: at.samplesPerIteration / iter_size,
    samplesPerIteration: at.samplesPerIteration,
    epochSize: source.epochSize,
    learnable: trainer.learnable
      .filter(({ lrMult }) => lrMult !== 0)
      .reduce((sum, { shape }) => sum + elementCount(shape), 0),
    seed,
    batchNorms: trainer.batchNorms,
    loaded: withStatus('matched', 'reshaped'),
    filled: withStatus('missing'),
    weights: trainer.report.some(({ status }) => status !== 'missing') ? matchText(trainer.report) : null,
    unused: withStatus('ignored'),
    tests: tests.map(({ iterations }) => ({ iterations })),
  };
}
