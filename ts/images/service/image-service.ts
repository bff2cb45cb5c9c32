/** What classifiers, detectors and segmenters share: images that wait, counts, an end. */
import type { Model } from '../../device/model.ts';
import type { ServiceStats } from './requests.ts';

/** What an `ImageService` leaves to its queue. @internal */
interface ServiceQueue {
  readonly pending: number;
  stats(): ServiceStats;
  close(): Promise<void>;
  dispose(): void;
}

/** Answers for images, many at once; what classifiers, detectors and segmenters have in common. */
export abstract class ImageService implements Disposable, AsyncDisposable {
  /** The model that it runs, with its plan, warnings and report. */
  readonly model: Model;
  readonly #queue: ServiceQueue;

  /** @internal */
  constructor(model: Model, queue: ServiceQueue) {
    this.model = model;
    this.#queue = queue;
  }

  /** Images that wait or are under way. */
  get pending(): number {
    return this.#queue.pending;
  }

  /** Counts, batch sizes and latencies since it was opened. */
  stats(): ServiceStats {
    return this.#queue.stats();
  }

  /** Takes no more images, answers those that wait, and frees everything; safe to call twice. */
  close(): Promise<void> {
    return this.#queue.close();
  }

  /** Frees everything behind the run that is under way; images that wait are rejected with the code `…/closed`. */
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
