/** Whole images through a net: decoded, prepared and batched off the event loop; what comes out, image by image. */
import { GraphError, type ResnodeError } from '../../base/errors.ts';
import type { Device } from '../../device/device.ts';
import type { Model, Outputs } from '../../device/model.ts';
import type { Inputs } from '../../device/tensor.ts';
import { decodeImage } from '../decode.ts';
import type { ImageInput } from '../features/image-input.ts';
import { type AnyImage, isImage } from '../image.ts';
import { decodingOf } from '../preprocess.ts';
import { type Placement, prepareWhole, unfitSize, type WholePreprocess } from '../whole.ts';
import { Batcher } from './batcher.ts';
import { concurrencyOf, type ServiceOptions } from './options.ts';
import { Requests, type ServiceStats } from './requests.ts';

export interface WholeImageParts<Raw> {
  /** E.g. `detector`. */
  readonly name: string;
  readonly refusal: (why: 'busy' | 'closed', message: string) => ResnodeError;
  readonly model: Model;
  readonly device: Device;
  readonly ownsDevice: boolean;
  readonly input: ImageInput;
  /** The input of height, width and scale that Faster R-CNN has besides; null: none. */
  readonly imageInfo: string | null;
  readonly preprocess: WholePreprocess;
  readonly options: ServiceOptions;
  /** The batch sizes that the model is compiled for, ascending. */
  readonly sizes: readonly number[];
  /** The outputs of a run of so many images, for each. */
  readonly split: (outputs: Outputs, images: number) => readonly Raw[];
}

/** As `prepareWhole` makes it. */
export interface Prepared {
  readonly placement: Placement;
  readonly data: Float32Array;
}

/** What a run of images of one size is given. */
export function runInputs(
  { input, imageInfo }: Pick<WholeImageParts<unknown>, 'input' | 'imageInfo'>,
  batch: readonly Prepared[],
): Inputs {
  const [{ placement, data: first }] = batch as [Prepared];
  const { width, height } = placement.input;
  const data = batch.length === 1 ? first : new Float32Array(batch.length * first.length);
  if (batch.length > 1) batch.forEach((each, i) => data.set(each.data, i * first.length));
  const { resized, scale } = placement;
  return {
    [input.name]: { shape: [batch.length, input.channels, height, width], data },
    ...(imageInfo === null
      ? {}
      : { [imageInfo]: Float32Array.of(resized.height, resized.width, Math.min(scale.x, scale.y)) }),
  };
}

export class WholeImageService<Raw> {
  readonly #parts: WholeImageParts<Raw>;
  readonly #sizes: readonly number[];
  readonly #batcher: Batcher<Prepared, Raw>;
  readonly #requests: Requests;

  constructor(parts: WholeImageParts<Raw>) {
    const { name, refusal, device, sizes, options } = parts;
    const { maxDelay = 0, maxQueue } = options;
    this.#parts = parts;
    this.#sizes = sizes;
    const concurrency = concurrencyOf(device);
    this.#batcher = new Batcher({ sizes, maxDelay, concurrency }, async (batch) =>
      parts.split(await this.#run(batch), batch.length),
    );
    const inMemory = 2 * this.#sizes.at(-1)! * concurrency;
    this.#requests = new Requests(name, { maxQueue, inMemory, refusal });
  }

  get pending(): number {
    return this.#requests.pending;
  }

  /** @param answer Makes the answer of what came out for the image. */
  ask<Answer>(
    image: AnyImage,
    answer: (raw: Raw, placement: Placement) => Answer | Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    return this.#requests.serve(async () => {
      const { preprocess, input, options } = this.#parts;
      const { maxPixels, timeout } = options;
      const limits = {
        ...(maxPixels === undefined ? {} : { maxPixels }),
        ...(timeout === undefined ? {} : { timeout }),
        ...(signal === undefined ? {} : { signal }),
      };
      const pixels = isImage(image) ? image : await decodeImage(image, decodingOf(preprocess, limits));
      const prepared = await prepareWhole(pixels, preprocess, input.channels);
      const { placement } = prepared;
      const raw = await this.#batcher.add(prepared, signal).catch((error) => {
        throw error instanceof GraphError ? unfitSize(pixels.file, placement, error) : error;
      });
      return answer(raw, placement);
    }, signal);
  }

  stats(): ServiceStats {
    return this.#requests.stats(this.#batcher.batches);
  }

  /** Answers those that wait. */
  async close(): Promise<void> {
    this.#requests.close();
    await this.#requests.drained();
    this.#free();
  }

  /** Refuses those that wait. */
  dispose(): void {
    this.#batcher.close(this.#requests.close());
    this.#free();
  }

  /** Runs every batch size once. */
  async warm(): Promise<void> {
    const [, channels, height, width] = this.#parts.model.inputs[this.#parts.input.name] as number[];
    const size = { width: width!, height: height! };
    const placement: Placement = { image: size, resized: size, input: size, scale: { x: 1, y: 1 } };
    const data = new Float32Array(channels! * height! * width!);
    for (const batch of this.#sizes) await this.#run(Array<Prepared>(batch).fill({ placement, data }));
  }

  async #run(batch: readonly Prepared[]): Promise<Outputs> {
    return this.#parts.model.run(runInputs(this.#parts, batch));
  }

  #free(): void {
    const { model, device, ownsDevice } = this.#parts;
    model.dispose();
    if (ownsDevice) device.dispose();
  }
}
