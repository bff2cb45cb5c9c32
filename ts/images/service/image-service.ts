/** The common part of classifiers, detectors and segmenters: waiting images, counts, and closing. */
import type { Model } from '../../device/model.ts';
import type { ServiceStats } from './requests.ts';

/**
 * The queue of an `ImageService`.
 * @internal
 */
interface ServiceQueue {
  readonly pending: number;
  stats(): ServiceStats;
  close(): Promise<void>;
  dispose(): void;
}

/** Answers requests for many images concurrently; the base class of classifiers, detectors and segmenters. */
export abstract class ImageService implements Disposable, AsyncDisposable {
  /** The model that it runs, with its plan, warnings and report. */
  readonly model: Model;
  readonly #queue: ServiceQueue;

  /** @internal */
  constructor(model: Model, queue: ServiceQueue) {
    this.model = model;
    this.#queue = queue;
  }

  /** The number of images that are waiting or in progress. */
  get pending(): number {
    return this.#queue.pending;
  }

  /** Counts, batch sizes and latencies since it was opened. */
  stats(): ServiceStats {
    return this.#queue.stats();
  }

  /** Accepts no more images, answers the waiting ones, and frees everything. Calling it twice is safe. */
  close(): Promise<void> {
    return this.#queue.close();
  }

  /** Frees everything after the current run; waiting images are rejected with the code `…/closed`. */
  dispose(): void {
    this.#queue.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
