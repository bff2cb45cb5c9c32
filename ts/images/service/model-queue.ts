/** A model that answers requests for images: it counts and limits requests, runs prepared images in batches, and closes. */
import type { ResnodeError } from '../../base/errors.ts';
import type { Device } from '../../device/device.ts';
import type { Model } from '../../device/model.ts';
import { decodeImage } from '../decode.ts';
import { type AnyImage, type DeepImage, type Image, isImage } from '../image.ts';
import { decodingOf, type Preprocess } from '../preprocess.ts';
import { Batcher } from './batcher.ts';
import { concurrencyOf, type ServiceOptions } from './options.ts';
import { Requests, type ServiceStats } from './requests.ts';

export interface ModelQueueParts {
  /** The name of the service, e.g. `detector`. */
  readonly name: string;
  readonly refusal: (why: 'busy' | 'closed', message: string) => ResnodeError;
  readonly model: Model;
  readonly device: Device;
  readonly ownsDevice: boolean;
  readonly options: ServiceOptions;
  /** The batch sizes that the model is compiled for, ascending. */
  readonly sizes: readonly number[];
}

/** An `Item` of one image goes into a run, and a `Row` comes out. */
export class ModelQueue<Item, Row> {
  readonly #parts: ModelQueueParts;
  readonly #batcher: Batcher<Item, Row>;
  readonly #requests: Requests;

  constructor(parts: ModelQueueParts, run: (items: readonly Item[]) => Promise<readonly Row[]>) {
    const { name, refusal, device, sizes, options } = parts;
    const { maxDelay = 0, maxQueue } = options;
    this.#parts = parts;
    const concurrency = concurrencyOf(device);
    this.#batcher = new Batcher({ sizes, maxDelay, concurrency }, run);
    this.#requests = new Requests(name, { maxQueue, inMemory: 2 * sizes.at(-1)! * concurrency, refusal });
  }

  get pending(): number {
    return this.#requests.pending;
  }

  /**
   * Counts a request, and answers it when there is room.
   * @throws The refusal; the signal's reason; the errors of `answer`
   */
  serve<Answer>(answer: () => Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
    return this.#requests.serve(answer, signal);
  }

  /** Decodes a requested image within the service's limits. */
  async decode(
    image: AnyImage,
    recipe: Pick<Preprocess, 'orientation' | 'depth' | 'window'>,
    signal: AbortSignal | undefined,
  ): Promise<Image | DeepImage> {
    if (isImage(image)) return image;
    const { maxPixels, timeout } = this.#parts.options;
    const limits = {
      ...(maxPixels === undefined ? {} : { maxPixels }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { signal }),
    };
    return decodeImage(image, decodingOf(recipe, limits));
  }

  /** Runs an item together with others that are waiting. */
  run(item: Item, signal: AbortSignal | undefined): Promise<Row> {
    return this.#batcher.add(item, signal);
  }

  stats(): ServiceStats {
    return this.#requests.stats(this.#batcher.batches);
  }

  /** Answers the waiting requests. */
  async close(): Promise<void> {
    this.#requests.close();
    await this.#requests.drained();
    this.#free();
  }

  /** Refuses the waiting requests. */
  dispose(): void {
    this.#batcher.close(this.#requests.close());
    this.#free();
  }

  #free(): void {
    const { model, device, ownsDevice } = this.#parts;
    model.dispose();
    if (ownsDevice) device.dispose();
  }
}
