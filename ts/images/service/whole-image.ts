/**
 * Runs whole images through a net: decodes, prepares and batches them off the event loop, and returns the outputs per image.
 */
import { GraphError } from '../../base/errors.ts';
import type { Outputs } from '../../device/model.ts';
import type { Inputs } from '../../device/tensor.ts';
import type { ImageInput } from '../features/image-input.ts';
import type { AnyImage } from '../image.ts';
import { type Placement, prepareWhole, unfitSize, type WholePreprocess } from '../whole.ts';
import { ModelQueue, type ModelQueueParts } from './model-queue.ts';

export interface WholeImageParts<Raw> extends ModelQueueParts {
  readonly input: ImageInput;
  /** The input with height, width and scale that Faster R-CNN has in addition; null if there is none. */
  readonly imageInfo: string | null;
  readonly preprocess: WholePreprocess;
  /** Splits the outputs of a run of several images into those of each. */
  readonly split: (outputs: Outputs, images: number) => readonly Raw[];
}

/** The result of `prepareWhole`. */
export interface Prepared {
  readonly placement: Placement;
  readonly data: Float32Array;
}

/** The inputs of a run of images with one size. */
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

/** A queue of prepared images. */
export class WholeImageQueue<Raw> extends ModelQueue<Prepared, Raw> {
  readonly #parts: WholeImageParts<Raw>;

  constructor(parts: WholeImageParts<Raw>) {
    super(parts, async (batch) => parts.split(await runBatch(parts, batch), batch.length));
    this.#parts = parts;
  }

  /** @param answer Computes the answer from the outputs for the image. */
  ask<Answer>(
    image: AnyImage,
    answer: (raw: Raw, placement: Placement) => Answer | Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    return this.serve(async () => {
      const { preprocess, input } = this.#parts;
      const pixels = await this.decode(image, preprocess, signal);
      const prepared = await prepareWhole(pixels, preprocess, input.channels);
      const { placement } = prepared;
      const raw = await this.run(prepared, signal).catch((error) => {
        throw error instanceof GraphError ? unfitSize(pixels.file, placement, error) : error;
      });
      return answer(raw, placement);
    }, signal);
  }

  /** Runs every batch size once. */
  async warm(): Promise<void> {
    const { model, input, sizes } = this.#parts;
    const [, channels, height, width] = model.inputs[input.name] as number[];
    const size = { width: width!, height: height! };
    const placement: Placement = { image: size, resized: size, input: size, scale: { x: 1, y: 1 } };
    const data = new Float32Array(channels! * height! * width!);
    for (const batch of sizes) await runBatch(this.#parts, Array<Prepared>(batch).fill({ placement, data }));
  }
}

const runBatch = <Raw>(parts: WholeImageParts<Raw>, batch: readonly Prepared[]): Promise<Outputs> =>
  parts.model.run(runInputs(parts, batch));
