/** Prints the events of a solver on a terminal. */

import type { LayerBatchNorm, OutputValue, SolverEvent } from '../train/events.ts';
import { formatDuration } from '../train/pace.ts';

/** One line of JSON; numbers that JSON cannot represent become strings, as in protobuf's JSON. */
export const eventJson = (event: object): string =>
  JSON.stringify(event, (_, value) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );

/** The lines of an event. Iterations that Caffe would not print have none. */
export function eventLines(event: SolverEvent): string[] {
  switch (event.type) {
    case 'start':
      return [
        `training "${event.net}" on ${event.device}: ${event.rule}, ${event.policy}${warmup(event.warmup)}, ` +
          `iterations ${event.iteration} to ${event.maxIterations} of ${event.samplesPerIteration} samples` +
          `${event.epochSize === null ? '' : ` (an epoch: ${event.epochSize})`}, ${event.learnable} learnable values, seed ${event.seed}`,
        ...batchNormLines(event.batchNorms),
        ...(event.weights === null ? [] : [event.weights]),
      ];
    case 'iteration':
      return event.display ? [progressLine(event)] : [];
    case 'test':
      return [
        `test${event.net > 0 ? ` net ${event.net}` : ''} at ${event.iteration}: ${outputText(event.outputs)}` +
          `${event.loss === null ? '' : `, loss ${figure(event.loss)}`} (${event.iterations} batches, ${formatDuration(event.seconds)})`,
        ...event.outputs.flatMap(classLines).map((line) => `  ${line}`),
      ];
    case 'snapshot':
      return [`snapshot at ${event.iteration}: ${event.weights}, ${event.state}`];
    case 'debug_info':
      return [
        ...event.blobs.map(
          ({ blob, data, diff }) =>
            `  ${blob}: data ${figure(data)}${diff === null ? '' : `, diff ${figure(diff)}`}`,
        ),
        ...event.parameters.map(
          ({ layer, index, data, diff }) =>
            `  ${layer}, param ${index}: data ${figure(data)}, diff ${figure(diff)}`,
        ),
        `  all params: L1 norm ${figure(event.norms.data.l1)}, diff ${figure(event.norms.diff.l1)}; ` +
          `L2 norm ${figure(event.norms.data.l2)}, diff ${figure(event.norms.diff.l2)}`,
      ];
    case 'warning':
      return [`warning: ${event.message}`];
    case 'diverged':
      return [];
    case 'done': {
      const { iteration, reason, weights, seconds, imagesPerSecond, waiting } = event;
      const ending = { finished: 'finished', stopped: 'stopped early', diverged: 'diverged' }[reason];
      return [
        `${ending} after ${iteration} iterations, ${formatDuration(seconds)}, ${imagesPerSecond.toFixed(1)} images/s, ` +
          `${(100 * waiting).toFixed(1)}% of the time waiting for data` +
          `${weights === null ? '' : `; weights: ${weights}`}`,
      ];
    }
  }
}

/** `iteration 100: loss 1.2345, lr 0.1, 812.3 images/s, 0.0% waiting for data, 1 h 12 min left`. */
export function progressLine(event: Extract<SolverEvent, { type: 'iteration' }>): string {
  const { iteration, smoothedLoss, rate, imagesPerSecond, waiting, remaining, outputs } = event;
  const others = outputs.filter(({ lossWeight, values }) => lossWeight === 0 && values.length === 1);
  return [
    `iteration ${iteration}: loss ${figure(smoothedLoss)}`,
    ...(others.length === 0 ? [] : [outputText(others)]),
    `lr ${Number(rate.toPrecision(6))}`,
    `${imagesPerSecond.toFixed(1)} images/s`,
    `${(100 * waiting).toFixed(1)}% waiting for data`,
    ...(remaining === null ? [] : [`${formatDuration(remaining)} left`]),
  ].join(', ');
}

/** `accuracy 0.9, loss 0.31`; every element of a larger blob, as in `caffe test`. */
function outputText(outputs: readonly OutputValue[]): string {
  return outputs.flatMap(({ name, values }) => values.map((value) => `${name} ${figure(value)}`)).join(', ');
}

/** The average precision of each class, as SSD's show_per_class_result prints it. */
export const classLines = ({ classes = [] }: OutputValue): string[] =>
  classes.map(({ label, precision }) => `class${label}: ${figure(precision)}`);

/** Six digits, as a C++ stream prints a float. */
export const figure = (value: number): string => String(Number(value.toPrecision(6)));

function warmup(given: { readonly iterations: number; readonly rate: number } | null): string {
  return given === null ? '' : ` after a warm-up with ${given.rate} to ${given.iterations}`;
}

// Layers with the same mode and reason share a line.
function batchNormLines(modes: readonly LayerBatchNorm[]): string[] {
  const groups = new Map<string, string[]>();
  for (const { layer, statistics, reason } of modes) {
    const mode = `${statistics === 'batch' ? "the batch's" : 'stored'} statistics (${reason})`;
    groups.set(mode, [...(groups.get(mode) ?? []), layer]);
  }
  return [...groups].map(([mode, layers]) => `BatchNorm with ${mode}: ${layers.join(', ')}`);
}
