/** A classifier over many images whose classes are known. */
import { ArgumentError, GraphError, ImageError } from '../errors.ts';
import { imageInput } from '../features/image-input.ts';
import { readAhead } from '../features/read-ahead.ts';
import { decodeImage, type Image } from '../image/decode.ts';
import { type Preprocess, preprocessImage } from '../image/preprocess.ts';
import type { Model } from '../runtime/model.ts';
import { elementCount } from '../runtime/tensor.ts';
import { type Outcome, outcomeOf } from './statistics.ts';
import { checkTenCrop, tenCrops } from './ten-crop.ts';

export interface Sample {
  /** A path, or pixels. */
  readonly image: string | Image;
  /** The true class, from 0. */
  readonly label: number;
}

export interface EvaluateOptions {
  readonly preprocess: Preprocess;
  /** 10: four corners, centre and their mirrors, of which the softmax scores are averaged. Default 1, the centre. */
  readonly crops?: 1 | 10;
  /** Images in one run, each with all its crops. Default 8, and 1 with ten crops. */
  readonly batch?: number;
  /** Leaves images out that cannot be read, and lists them. Default false: the first one is an error. */
  readonly skipBroken?: boolean;
  /** Told after each run how many images are done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

interface Ready {
  readonly label: number;
  /** One a crop. */
  readonly pixels: readonly Float32Array[];
}

interface Skipped {
  readonly file: string;
  readonly reason: string;
}

export interface Evaluated {
  /** One an image, in their order, without those skipped. */
  readonly outcomes: readonly Outcome[];
  readonly skipped: readonly Skipped[];
}

/**
 * Classifies every sample with the model's last output; images of the next run are decoded while one runs. Scores of
 * a net that does not end in Softmax go through one here.
 * @throws ImageError naming the file; GraphError where the model takes no image or gives no row of scores an image;
 * ArgumentError for a label that is no class, a crop that is not the net's input, ten crops without room for them, or
 * scores that are not finite; the signal's reason
 */
export async function evaluateImages(
  model: Model,
  samples: readonly Sample[],
  options: EvaluateOptions,
): Promise<Evaluated> {
  const { preprocess, crops = 1, skipBroken = false, onProgress, signal } = options;
  const { batch = crops === 10 ? 1 : 8 } = options;
  if (crops !== 1 && crops !== 10) throw new ArgumentError('crops', '1 or 10', crops);
  if (!Number.isInteger(batch) || batch < 1) throw new ArgumentError('batch', 'a positive integer', batch);
  const { name: input, channels, size } = imageInput(model);
  const { crop } = preprocess;
  if (crop.width !== size.width || crop.height !== size.height)
    throw new ArgumentError(
      'preprocess.crop',
      `the net's input, ${size.width}×${size.height}`,
      `${crop.width}×${crop.height}`,
    );
  if (crops === 10) checkTenCrop(preprocess);
  const { output, classes, isSoftmax } = scoresOf(model, model.inputs[input]![0]!);
  for (const { label } of samples)
    if (!(Number.isInteger(label) && label >= 0 && label < classes))
      throw new ArgumentError('label', `a class from 0 to ${classes - 1}`, label);

  const skipped: Skipped[] = [];
  const read = async ({ image: source, label }: Sample): Promise<Ready | Skipped> => {
    try {
      const image = typeof source === 'string' ? await decodeImage(source) : source;
      const pixels =
        crops === 10
          ? await tenCrops(image, preprocess, channels)
          : [await preprocessImage(image, preprocess, channels)];
      return { label, pixels };
    } catch (error) {
      if (!(skipBroken && error instanceof ImageError)) throw error;
      return {
        file: typeof source === 'string' ? source : source.file,
        reason: error.message,
      };
    }
  };
  const prepare = (part: readonly Sample[]) => Promise.all(part.map(read));

  const outcomes: Outcome[] = [];
  const count = channels * size.height * size.width;
  for await (const { end, batch: results } of readAhead(samples, batch, prepare, signal)) {
    skipped.push(...results.flatMap((result) => ('reason' in result ? [result] : [])));
    const images = results.flatMap((result) => ('pixels' in result ? [result] : []));
    if (images.length > 0) {
      const rows = images.flatMap(({ pixels }) => pixels);
      const data = new Float32Array(rows.length * count);
      rows.forEach((row, i) => {
        data.set(row, i * count);
      });
      const shape = [rows.length, channels, size.height, size.width];
      const scores = (await model.run({ [input]: { shape, data } }, signal === undefined ? {} : { signal }))[
        output
      ]!.data;
      images.forEach(({ label }, i) => {
        const own = scores.subarray(i * crops * classes, (i + 1) * crops * classes);
        outcomes.push(outcomeOf(averaged(isSoftmax ? own : softmax(own, classes), classes), label));
      });
    }
    onProgress?.(end);
  }
  return { outcomes, skipped };
}

function scoresOf(model: Model, images: number) {
  const [output, shape] = Object.entries(model.outputs).at(-1)!;
  const classes = elementCount(shape.slice(1));
  if (shape[0] !== images || classes < 2)
    throw new GraphError(
      'evaluate/no-scores',
      {},
      `expected an output images × classes, found "${output}" ${shape.join('×')} for ${images} images; give a deploy prototxt that ends in a classifier`,
    );
  return { output, classes, isSoftmax: model.summary().layers.at(-1)!.type === 'Softmax' };
}

/** The mean of the rows. */
function averaged(rows: ArrayLike<number>, classes: number): ArrayLike<number> {
  if (rows.length === classes) return rows;
  const mean = new Float64Array(classes);
  for (let i = 0; i < rows.length; i++) mean[i % classes]! += (rows[i]! * classes) / rows.length;
  return mean;
}

function softmax(rows: Float32Array, classes: number): Float64Array {
  const result = Float64Array.from(rows);
  for (let at = 0; at < result.length; at += classes) {
    const row = result.subarray(at, at + classes);
    const most = row.reduce((a, b) => Math.max(a, b));
    row.forEach((value, i) => {
      row[i] = Math.exp(value - most);
    });
    const sum = row.reduce((a, b) => a + b);
    row.forEach((value, i) => {
      row[i] = value / sum;
    });
  }
  return result;
}
