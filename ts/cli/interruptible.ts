/** Ends an evaluation on a signal so that the same command can continue it. */
import type { ProgressFile } from '../images/evaluate/progress-file.ts';
import { OtherFailed } from './other-failed.ts';

/**
 * If progress is kept, SIGINT and SIGTERM to any process end the work after the current batch. The progress file is written
 * whatever ends the work.
 * @param kept The progress file of the first process.
 * @returns false if the work was interrupted
 */
export async function interruptible(
  isKept: boolean,
  kept: Pick<ProgressFile, 'done' | 'save'> | null,
  images: number,
  work: (signal?: AbortSignal) => Promise<void>,
): Promise<boolean> {
  if (!isKept) {
    await work();
    return true;
  }
  const controller = new AbortController();
  const stop = () => controller.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, stop);
  try {
    await work(controller.signal);
    return true;
  } catch (error) {
    const isStopped = controller.signal.aborted || (error instanceof OtherFailed && error.isStopped);
    if (!isStopped || kept === null) throw error;
    process.exitCode = 130;
    console.error(
      `resnode: stopped at ${kept.done} of ${images} images; the same command continues from there`,
    );
    return false;
  } finally {
    kept?.save();
    for (const signal of signals) process.off(signal, stop);
  }
}
