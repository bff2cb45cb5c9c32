/** Keeps the progress of an interrupted evaluation in a file, so that the same command can continue it. */
import { existsSync, rmSync } from 'node:fs';
import { ArgumentError } from '../../base/errors.ts';
import { anything, number, path, record } from '../../base/kinds.ts';
import { optional, required, signature } from '../../base/options.ts';
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import { readJsonFile } from '../../caffe/json.ts';
import type { Progress, SkippedImage } from './evaluate-images.ts';
import type { Outcome } from './outcome.ts';
import { differences } from './result.ts';

const FORMAT = 'resnode-evaluation-progress/1';

/** The state of an unfinished evaluation, for any kind of result per image. */
export interface ProgressOf<Found> extends Omit<Progress, 'outcomes' | 'skipped'> {
  readonly outcomes: readonly Found[];
  readonly skipped: readonly SkippedImage[];
}

export interface ProgressFile<Found = Outcome> {
  /** The progress in the file, or null to start at the beginning. */
  readonly resume: ProgressOf<Found> | null;
  /** The number of samples that are done. */
  readonly done: number;
  /** Stores the progress; writes the file the first time, and then every few seconds. */
  update(progress: ProgressOf<Found>): void;
  /** Writes what has not been written yet. */
  save(): void;
  /** Removes the file when the evaluation is complete. */
  remove(): void;
}

const OPEN_PROGRESS_FILE = signature('openProgressFile', {
  path: required(path, 'The path of the file.'),
  identity: required(record(anything), 'The identity of the work whose progress is kept.'),
  seconds: optional(number({ from: 0 }), '2', 'The seconds between two writes.'),
});

/**
 * @param identity The identity of the work: recipe and images, as plain JSON. A file with another identity is refused.
 * @param seconds The time between two writes. Default 2: each writes all outcomes, 3.5 MB for 50,000 images.
 * @throws ArgumentError if the file belongs to another evaluation, naming the first difference, or is not a progress file
 */
export function openProgressFile<Found = Outcome>(
  path: string,
  identity: object,
  seconds = 2,
): ProgressFile<Found> {
  OPEN_PROGRESS_FILE.check(path, identity, seconds);
  const resume = existsSync(path) ? readProgress<Found>(path, identity) : null;
  let latest: ProgressOf<Found> | null = null;
  let done = resume?.done ?? 0;
  let written = Number.NEGATIVE_INFINITY;
  const save = () => {
    if (latest === null) return;
    writeFileAtomically(path, [`${JSON.stringify({ format: FORMAT, identity, ...latest })}\n`]);
    latest = null;
    written = performance.now();
  };
  return {
    resume,
    get done() {
      return done;
    },
    update: (progress) => {
      latest = progress;
      ({ done } = progress);
      if (performance.now() - written >= 1000 * seconds) save();
    },
    save,
    remove: () => rmSync(path, { force: true }),
  };
}

function readProgress<Found>(path: string, identity: object): ProgressOf<Found> {
  const misfit = (found: string) =>
    new ArgumentError('resume', 'the progress of this evaluation, or no file yet', path, found);
  const json = readJsonFile(path, 'evaluation progress', misfit) as Partial<ProgressOf<Found>> & {
    format?: unknown;
    identity?: object;
  };
  if (json?.format !== FORMAT) throw misfit(`this is not a file of format ${FORMAT}`);
  const [difference] = differences(json.identity, JSON.parse(JSON.stringify(identity)));
  if (difference !== undefined) throw misfit(`it has ${difference}`);
  const { done, outcomes, skipped } = json;
  if (!(Number.isInteger(done) && Array.isArray(outcomes) && Array.isArray(skipped)))
    throw misfit('it is damaged');
  return { done: done!, outcomes, skipped };
}
