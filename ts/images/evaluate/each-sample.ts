/** Processes the samples of an evaluation in batches, and skips unreadable ones on request. */
import { ImageError } from '../../base/errors.ts';
import { boolean, callback, integer, signal } from '../../base/kinds.ts';
import { optional, type Table } from '../../base/options.ts';
import { readAhead } from '../features/read-ahead.ts';
import type { SkippedImage } from './evaluate-images.ts';

export interface EachOptions {
  /** The number of images that are requested at once. Default 8. */
  readonly batch?: number;
  /** Skips images that cannot be read, and lists them. Default false: the first one is an error. */
  readonly skipBroken?: boolean;
  /** Called with the number of images done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

export const eachRows: Table<EachOptions> = {
  batch: optional(integer(1, 1024), '8', 'The number of images that are requested at once.'),
  skipBroken: optional(
    boolean,
    'false',
    'Skips images that cannot be read, and lists them; otherwise the first one is an error.',
  ),
  onProgress: optional(callback<(done: number) => void>(), 'none', 'Called with the number of images done.'),
  signal: optional(signal, 'none', "Cancels the request; the promise rejects with the signal's reason."),
};

/** The results of a batch of samples. */
export interface EachBatch<Result> {
  /** In the order of the samples, without those that were skipped. */
  readonly results: readonly Result[];
  readonly skipped: readonly SkippedImage[];
}

/** @param look Processes one sample. */
export async function* eachBatch<Sample, Result>(
  samples: readonly Sample[],
  look: (sample: Sample) => Promise<Result>,
  { batch = 8, skipBroken = false, onProgress, signal }: EachOptions,
): AsyncGenerator<EachBatch<Result>> {
  const lookAt = async (sample: Sample): Promise<{ result: Result } | SkippedImage> => {
    try {
      return { result: await look(sample) };
    } catch (error) {
      if (!(skipBroken && error instanceof ImageError)) throw error;
      return { file: error.file ?? '', reason: error.message };
    }
  };
  const prepare = (part: readonly Sample[]) => Promise.all(part.map(lookAt));
  for await (const { end, batch: looked } of readAhead(samples, batch, prepare, signal)) {
    yield {
      results: looked.flatMap((each) => ('reason' in each ? [] : [each.result])),
      skipped: looked.flatMap((each) => ('reason' in each ? [each] : [])),
    };
    onProgress?.(end);
  }
}
