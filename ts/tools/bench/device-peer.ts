/**
 * torch on the same GPU as `bench --device cuda`, with the same weights, input and precision, in eager mode and
 * channels_last.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usableProcessors } from '../../base/processors.ts';
import type { PeerTimes } from './device-report.ts';
import { type Answers, type Job, measure, type Training } from './job.ts';
import type { BenchNet } from './nets.ts';
import { prepare } from './prepare.ts';
import { relativeDifference } from './statistics.ts';

/** The number of first training steps whose losses are compared. */
export const COMPARED_STEPS = 5;

/** The files that both engines load, in a temporary folder. */
export interface PeerFiles extends Disposable {
  readonly folder: string;
}

export interface PeerRequest {
  /** A Python that has torch. */
  readonly python: string;
  /** The device in torch's notation: `cuda:0`, or `cpu` for a test without a GPU. */
  readonly device: string;
  readonly net: BenchNet;
  readonly batch: number;
  readonly precision: string;
  readonly runs: number;
  /** The end of a training step; null: the net runs forward. */
  readonly training: Training | null;
  /** resnode's result: the output, or the first losses. */
  readonly expected: readonly number[];
  /** The allowed difference of torch's result, relative to the largest value. */
  readonly bound: number;
}

/** Writes the net for both engines. */
export function writePeerFiles(net: BenchNet, batch: number, phase: 'TRAIN' | 'TEST'): PeerFiles {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  prepare(net, [batch], folder, phase);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/**
 * Compares the results and then measures. It blocks this process. An engine that is absent, fails, or gives results that
 * differ or are not finite is not timed; the report gives the reason.
 */
export function timeTorch(folder: string, request: PeerRequest): PeerTimes {
  const { python, device, net, batch, precision, runs, training, expected, bound } = request;
  const engine = 'torch, eager, channels_last';
  const job: Omit<Job, 'what'> = {
    engine,
    python,
    folder,
    net: net.name,
    input: net.input,
    batch,
    threads: usableProcessors(),
    runs,
    training,
    device,
    precision,
    steps: COMPARED_STEPS,
  };
  const untimed = { engine, milliseconds: [] };
  try {
    const { answer } = measure({ ...job, what: 'firstAnswer' });
    const difference = relativeDifference(answer.output.slice(0, expected.length), expected);
    const about = {
      difference: Number.isFinite(difference) ? difference : null,
      ...losses(answer, training),
    };
    const bad = whyNotTimed(answer.output, difference, bound);
    if (bad !== null) return { ...untimed, ...about, refusal: bad };
    const { milliseconds } = measure({ ...job, what: 'run' }).answer;
    return { engine, milliseconds, refusal: null, ...about };
  } catch (error) {
    const [last] = (error as Error).message.trim().split('\n').slice(-1);
    return { ...untimed, difference: null, refusal: `not timed: ${last}` };
  }
}

const losses = ({ output, skippedUpdates = 0 }: Answers['firstAnswer'], training: Training | null) =>
  training === null ? {} : { losses: output, skippedUpdates };

function whyNotTimed(output: readonly number[], difference: number, bound: number): string | null {
  const bad = output.filter((value) => !Number.isFinite(value)).length;
  if (bad > 0) return `not timed: ${bad} of its ${output.length} values are not finite`;
  if (difference <= bound) return null;
  return `not timed: its values differ from resnode's by ${difference.toPrecision(2)} of the largest, but rounding explains at most ${bound}`;
}
