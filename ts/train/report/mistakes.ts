/** A classifier's mistakes, for a report: which classes it confuses, and the mistakes with the highest scores. */
import { groupBy } from '../../base/group-alike.ts';
import { type DecodeOptions, decodeImage } from '../../images/decode.ts';
import type { LazySample, Sample } from '../../images/evaluate/evaluate-images.ts';
import type { Outcome } from '../../images/evaluate/outcome.ts';
import type { DeepImage, Image } from '../../images/image.ts';
import type { ConfusionMatrix, ReportPicture } from './data.ts';

/** A page has no room for more classes; it then lists the most frequent confusions instead. */
export const MOST_CLASSES = 30;
const MOST_PICTURES = 12;
const SIDE = 160;

export function confusionMatrix(outcomes: readonly Outcome[], labels: readonly string[]): ConfusionMatrix {
  const counts = labels.map(() => labels.map(() => 0));
  for (const { label, predicted } of outcomes) counts[label]![predicted]!++;
  return { labels, counts };
}

/**
 * Mistakes as thumbnails.
 * @param outcomes Outcomes of `images`, indexed by their `sample`.
 */
export function missesOf(
  outcomes: readonly Outcome[],
  images: readonly (Sample | LazySample)[],
  labels: readonly string[],
  decoding: DecodeOptions,
): Promise<ReportPicture[]> {
  const name = (label: number) => labels[label] ?? `class ${label}`;
  const misses = outcomes.flatMap(({ label, predicted, confidence, rank, sample }): Miss[] => {
    const caption = `${name(label)} classified as ${name(predicted)}, ${(100 * confidence).toFixed(0)}%`;
    return rank === 0 ? [] : [{ image: images[sample!]!, label, sureness: confidence, caption }];
  });
  const sizes = new Map<number, number>();
  for (const { label } of outcomes) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return picturesOf(misses, sizes, decoding);
}

/** A mistake. */
export interface Miss {
  readonly image: Pick<Sample, 'image'> | LazySample;
  /** The class by which it is grouped. */
  readonly label: number;
  readonly sureness: number;
  readonly caption: string;
}

/**
 * Mistakes in turn by class, rare classes first and in each class those with the highest scores first, so that mistakes
 * of a rare class appear beside the many of a frequent one.
 * @param sizes The number of images of each class.
 */
export async function picturesOf(
  misses: readonly Miss[],
  sizes: ReadonlyMap<number, number>,
  decoding: DecodeOptions,
): Promise<ReportPicture[]> {
  const surest = [...misses].sort((a, b) => b.sureness - a.sureness);
  const queues = groupBy(surest, ({ label }) => label).sort(
    ([a], [b]) => (sizes.get(a!.label) ?? 0) - (sizes.get(b!.label) ?? 0) || a!.label - b!.label,
  );
  const shown: Miss[] = [];
  for (let turn = 0; shown.length < Math.min(MOST_PICTURES, misses.length); turn++)
    shown.push(...queues.flatMap((queue) => queue.slice(turn, turn + 1)));
  const pictures: ReportPicture[] = [];
  for (const { image, caption } of shown.slice(0, MOST_PICTURES))
    pictures.push({ jpeg: await thumbnail(image, decoding), caption });
  return pictures;
}

async function thumbnail(sample: Miss['image'], decoding: DecodeOptions): Promise<string> {
  const { default: sharp } = await import('sharp');
  const { image } = typeof sample === 'function' ? await sample() : sample;
  const { data, width, height, channels } =
    typeof image === 'string' ? await decodeImage(image, { ...decoding, depth: 8 }) : eightBits(image);
  const jpeg = await sharp(data, { raw: { width, height, channels } })
    .resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .jpeg({ quality: 80 })
    .toBuffer();
  return jpeg.toString('base64');
}

/** The upper 8 of 16 bits. */
const eightBits = (image: Image | DeepImage): Image =>
  image.data instanceof Uint8Array
    ? (image as Image)
    : { ...image, data: Uint8Array.from(image.data, (value) => value >> 8) };
