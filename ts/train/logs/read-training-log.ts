/**
 * Reads curves from logs of training: resnode's own, as lines of JSON or as a terminal shows them, and Caffe's (glog).
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { DataError, ResnodeError } from '../../base/errors.ts';
import { checkRegularFile, readCause } from '../../base/files.ts';
import { path } from '../../base/kinds.ts';
import { required, signature } from '../../base/options.ts';
import type { OutputValue, SolverEvent } from '../events.ts';

/** Values by iteration, in its order. */
export type LogCurve = readonly (readonly [iteration: number, value: number])[];

/** An output of the net, in training or in a test. */
export interface LogOutput {
  readonly name: string;
  /** The index of the test net, from 0; null in training. */
  readonly net: number | null;
  readonly isLoss: boolean;
  readonly values: LogCurve;
}

export interface TrainingLog {
  readonly file: string;
  /** The running mean that is displayed. */
  readonly loss: LogCurve;
  readonly rate: LogCurve;
  readonly outputs: readonly LogOutput[];
}

const READ_TRAINING_LOG = signature('readTrainingLog', {
  file: required(path, 'A log of `resnode train` or of `caffe train`.'),
});

/**
 * Reads the log of a training line by line, so that its size does not matter: what `resnode train --log` writes, what
 * `resnode train` prints, with or without --json, or what `caffe train` writes. If a run was resumed from a snapshot,
 * the later values of an iteration count.
 * @throws DataError `data/log` if the log cannot be read or contains no iteration
 * @example const { loss, outputs } = await readTrainingLog('log.jsonl');
 */
export async function readTrainingLog(file: string): Promise<TrainingLog> {
  READ_TRAINING_LOG.check(file);
  try {
    checkRegularFile(file);
    return await readLines(file, createReadStream(file));
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    if (error instanceof ResnodeError || cause.code === undefined) throw error;
    throw new DataError('data/log', { file }, readCause(cause), { cause });
  }
}

/**
 * The same for the text of a stream.
 * @param name The name for errors.
 */
export async function readLines(name: string, stream: NodeJS.ReadableStream): Promise<TrainingLog> {
  const collector = new Collector();
  // An error of reading from a pipe becomes an error of the iteration over its lines, too.
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }))
    collector.add(line);
  const log = collector.log(name);
  if (log.loss.length > 0 || log.outputs.length > 0) return log;
  throw new DataError(
    'data/log',
    { file: name },
    'it contains no iteration of a training; expected a log of `resnode train --log` or the output of `caffe train`',
  );
}

class Collector {
  readonly #loss = new Map<number, number>();
  readonly #rate = new Map<number, number>();
  readonly #outputs = new Map<string, { of: Omit<LogOutput, 'values'>; values: Map<number, number> }>();
  /** The net of the glog lines that follow. */
  #iteration: number | null = null;
  #net = 0;

  add(line: string): void {
    if (line.startsWith('{')) this.#addEvent(line);
    else this.#addText(line);
  }

  log(file: string): TrainingLog {
    const outputs = [...this.#outputs.values()].map(({ of, values }) => ({ ...of, values: curve(values) }));
    return { file, loss: curve(this.#loss), rate: curve(this.#rate), outputs };
  }

  #addEvent(line: string): void {
    let event: SolverEvent;
    try {
      event = JSON.parse(line) as SolverEvent;
    } catch {
      return; // The last line may be incomplete while the log is being written.
    }
    if (event.type === 'iteration') {
      this.#loss.set(event.iteration, event.smoothedLoss);
      this.#rate.set(event.iteration, event.rate);
      this.#addOutputs(event.iteration, null, event.outputs);
    } else if (event.type === 'test') this.#addOutputs(event.iteration, event.net, event.outputs);
  }

  #addOutputs(iteration: number, net: number | null, outputs: readonly OutputValue[]): void {
    for (const { name, values, lossWeight } of outputs ?? [])
      if (values.length === 1)
        this.#addOutput(iteration, { name, net, isLoss: lossWeight !== 0 }, values[0]!);
  }

  #addOutput(iteration: number, of: Omit<LogOutput, 'values'>, value: number): void {
    const key = `${of.net} ${of.name}`;
    const output = this.#outputs.get(key) ?? { of, values: new Map<number, number>() };
    this.#outputs.set(key, output);
    output.values.set(iteration, value);
  }

  // solver.cpp and sgd_solver.cpp write a capital letter; progressLine and eventLines write a small one.
  #addText(line: string): void {
    const at = /\b[Ii]teration (\d+)/.exec(line);
    if (at !== null) this.#iteration = Number(at[1]);
    const own = /^test(?: net (\d+))? at (\d+): (.*)$/.exec(line);
    if (own !== null) {
      const [, net = '0', iteration, values] = own;
      this.#addPairs(Number(iteration), Number(net), values!.replace(/ \([^)]*\)$/, ''));
      return;
    }
    if (this.#iteration === null) return;
    const testing = /Testing net \(#(\d+)\)/.exec(line);
    if (testing !== null) this.#net = Number(testing[1]);
    const output = /(Train|Test) net output #\d+: (\S+) = (\S+)( \(\*)?/.exec(line);
    if (output !== null) {
      const [, phase, name, value, weighted] = output;
      const net = phase === 'Test' ? this.#net : null;
      this.#addOutput(
        this.#iteration,
        { name: name!, net, isLoss: weighted !== undefined },
        numberOf(value!),
      );
      return;
    }
    if (at === null) return;
    const loss = /\bloss(?: =)? ([-+.\w]+)/.exec(line);
    if (loss !== null) this.#loss.set(this.#iteration, numberOf(loss[1]!));
    const rate = /\blr(?: =)? ([-+.\w]+)/.exec(line);
    if (rate !== null) this.#rate.set(this.#iteration, numberOf(rate[1]!));
  }

  /** For example `accuracy 0.9, loss 0.31`. */
  #addPairs(iteration: number, net: number, text: string): void {
    for (const pair of text.split(', ')) {
      const [, name, value] = /^(\S+) (\S+)$/.exec(pair) ?? [];
      if (name !== undefined)
        this.#addOutput(iteration, { name, net, isLoss: /loss/i.test(name) }, numberOf(value!));
    }
  }
}

/** C++ prints -nan and inf. */
const numberOf = (text: string): number =>
  /^[-+]?inf/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);

const curve = (values: ReadonlyMap<number, number>): LogCurve =>
  [...values]
    .map(([iteration, value]) => [iteration, Number(value)] as const)
    .filter(([, value]) => Number.isFinite(value))
    .sort(([a], [b]) => a - b);
