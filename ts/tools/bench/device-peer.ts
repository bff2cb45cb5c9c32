/** torch on the same GPU as `bench --device cuda`: the same weights and input, in the same precision, eager, channels_last. */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerTimes } from './device-report.ts';
import { type Answers, type Job, measure, type Training } from './job.ts';
import type { BenchNet } from './nets.ts';
import { prepare } from './prepare.ts';
import { relativeDifference } from './statistics.ts';

/** First steps of a training whose losses are compared. */
export const COMPARED_STEPS = 5;

/** What both engines load, in a folder that goes with it. */
export interface PeerFiles extends Disposable {
  readonly folder: string;
}

export interface PeerRequest {
  /** A Python that has torch. */
  readonly python: string;
  /** As torch names it: `cuda:0`; `cpu` where there is no GPU, for a proof. */
  readonly device: string;
  readonly net: BenchNet;
  readonly batch: number;
  readonly precision: string;
  readonly runs: number;
  /** What a step ends with; null: the net forward. */
  readonly training: Training | null;
  /** What resnode computed: the output, or the first losses. */
  readonly expected: readonly number[];
  /** How far torch's may be from it, as a share of the largest value. */
  readonly bound: number;
}

/** Writes the net for both engines. */
export function writePeerFiles(net: BenchNet, batch: number, phase: 'TRAIN' | 'TEST'): PeerFiles {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  prepare(net, [batch], folder, phase);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/**
 * Compares, then times. Blocks this process. What is absent, fails, gives no finite numbers or other ones is not timed, and
 * says why.
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
    threads: availableParallelism(),
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
