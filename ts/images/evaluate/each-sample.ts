/** Samples of an evaluation, some at a time, those that cannot be read left out where that is wanted. */
import { ImageError } from '../../base/errors.ts';
import { boolean, callback, integer, signal } from '../../base/kinds.ts';
import { optional, type Table } from '../../base/options.ts';
import { readAhead } from '../features/read-ahead.ts';
import type { SkippedImage } from './evaluate-images.ts';

export interface EachOptions {
  /** Images that are asked for at once. Default 8. */
  readonly batch?: number;
  /** Leaves images out that cannot be read, and lists them. Default false: the first one is an error. */
  readonly skipBroken?: boolean;
  /** Told how many images are done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

export const eachRows: Table<EachOptions> = {
  batch: optional(integer(1, 1024), '8', 'Images that are asked for at once.'),
  skipBroken: optional(
    boolean,
    'false',
    'Leaves images out that cannot be read, and lists them; otherwise the first one is an error.',
  ),
  onProgress: optional(callback<(done: number) => void>(), 'none', 'Told how many images are done.'),
  signal: optional(signal, 'none', 'Gives up with its reason.'),
};

/** @param look At one sample. @param take What came of it, in the samples' order. @returns those that were left out */
export async function eachSample<Sample, Result>(
  samples: readonly Sample[],
  look: (sample: Sample) => Promise<Result>,
  take: (result: Result, sample: Sample) => void,
  { batch = 8, skipBroken = false, onProgress, signal }: EachOptions,
): Promise<SkippedImage[]> {
  const skipped: SkippedImage[] = [];
  const lookAt = async (sample: Sample): Promise<{ sample: Sample; result: Result } | SkippedImage> => {
    try {
      return { sample, result: await look(sample) };
    } catch (error) {
      if (!(skipBroken && error instanceof ImageError)) throw error;
      return { file: error.file ?? '', reason: error.message };
    }
  };
  const prepare = (part: readonly Sample[]) => Promise.all(part.map(lookAt));
  for await (const { end, batch: looked } of readAhead(samples, batch, prepare, signal)) {
    for (const each of looked) {
      if ('reason' in each) skipped.push(each);
      else take(each.result, each.sample);
    }
    onProgress?.(end);
  }
  return skipped;
}
