/** A solver's events as Caffe's log lines, in glog's format, which tools/extra/parse_log.py and plot_training_log.py read. */
import { hostname } from 'node:os';
import type { OutputValue, SolverEvent } from '../events.ts';

/** The head of a log file. */
export function caffeLogHead(now = new Date()): string {
  const day = `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())}`;
  return [
    `Log file created at: ${day} ${timeOf(now)}`,
    `Running on machine: ${hostname()}`,
    'Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg',
    '',
  ].join('\n');
}

/** An event's lines, each with its line end; an empty string if Caffe would log nothing. */
export function caffeLogLines(event: SolverEvent, now = new Date()): string {
  const place = event.type === 'warning' ? 'W' : event.type === 'diverged' ? 'E' : 'I';
  const head = `${place}${two(now.getMonth() + 1)}${two(now.getDate())} ${timeOf(now)}.${String(now.getMilliseconds()).padStart(3, '0')}000 ${String(process.pid).padStart(5)} solver.cpp:1] `;
  return messages(event)
    .map((message) => `${head}${message}\n`)
    .join('');
}

function messages(event: SolverEvent): string[] {
  switch (event.type) {
    case 'start':
      return [`Solving ${event.net}`, `Learning Rate Policy: ${event.policy}`];
    case 'iteration':
      if (!event.display) return [];
      return [
        `Iteration ${event.iteration}, loss = ${event.smoothedLoss}`,
        ...outputLines('Train', event.outputs),
        `Iteration ${event.iteration}, lr = ${event.rate}`,
      ];
    case 'test':
      return [
        `Iteration ${event.iteration}, Testing net (#${event.net})`,
        ...(event.loss === null ? [] : [`Test loss: ${event.loss}`]),
        ...event.outputs.flatMap(({ classes = [] }) =>
          classes.map(({ label, precision }) => `class${label}: ${precision}`),
        ),
        ...outputLines('Test', event.outputs),
      ];
    case 'snapshot':
      return [
        `Snapshotting to binary proto file ${event.weights}`,
        `Snapshotting solver state to binary proto file ${event.state}`,
      ];
    case 'debug_info':
      return [];
    case 'warning':
    case 'diverged':
      return [event.message];
    case 'done':
      return [
        ...(event.smoothedLoss === null
          ? []
          : [`Iteration ${event.iteration}, loss = ${event.smoothedLoss}`]),
        event.reason === 'finished' ? 'Optimization Done.' : 'Optimization stopped early.',
      ];
  }
}

const outputLines = (phase: 'Train' | 'Test', outputs: readonly OutputValue[]): string[] =>
  outputs
    .flatMap(({ name, values, lossWeight }) => values.map((value) => ({ name, value, lossWeight })))
    .map(
      ({ name, value, lossWeight }, i) =>
        `    ${phase} net output #${i}: ${name} = ${value}${lossWeight === 0 ? '' : ` (* ${lossWeight} = ${lossWeight * value} loss)`}`,
    );

const two = (value: number): string => String(value).padStart(2, '0');

const timeOf = (time: Date): string =>
  `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
