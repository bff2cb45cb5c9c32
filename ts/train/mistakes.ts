/** Where a classifier is wrong, for a report: which classes it takes for which, and the images that it is surest of. */
import { groupBy } from '../base/group-alike.ts';
import { type DecodeOptions, decodeImage } from '../images/decode.ts';
import type { LazySample, Sample } from '../images/evaluate/evaluate-images.ts';
import type { Outcome } from '../images/evaluate/outcome.ts';
import type { DeepImage, Image } from '../images/image.ts';
import type { ConfusionMatrix, ReportPicture } from './report-data.ts';

/** More classes than that fill no page; the most frequent confusions are listed instead. */
export const MOST_CLASSES = 30;
const MOST_PICTURES = 12;
const SIDE = 160;

export function confusionMatrix(outcomes: readonly Outcome[], labels: readonly string[]): ConfusionMatrix {
  const counts = labels.map(() => labels.map(() => 0));
  for (const { label, predicted } of outcomes) counts[label]![predicted]!++;
  return { labels, counts };
}

/**
 * Wrong answers as thumbnails: those of rare classes first, of each class the surest, in turn, so that what was missed
 * of a rare one is seen beside the many of a frequent one.
 * @param outcomes Of `images`, by their `sample`.
 */
export async function missesOf(
  outcomes: readonly Outcome[],
  images: readonly (Sample | LazySample)[],
  labels: readonly string[],
  decoding: DecodeOptions,
): Promise<ReportPicture[]> {
  const wrong = outcomes
    .flatMap((outcome) => (outcome.rank > 0 ? [{ ...outcome, image: images[outcome.sample!]! }] : []))
    .sort((a, b) => b.confidence - a.confidence);
  const sizes = new Map<number, number>();
  for (const { label } of outcomes) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const queues = groupBy(wrong, ({ label }) => label).sort(
    ([a], [b]) => sizes.get(a!.label)! - sizes.get(b!.label)! || a!.label - b!.label,
  );
  const shown = [];
  for (let turn = 0; shown.length < Math.min(MOST_PICTURES, wrong.length); turn++)
    shown.push(...queues.flatMap((queue) => queue.slice(turn, turn + 1)));
  const name = (label: number) => labels[label] ?? `class ${label}`;
  const pictures: ReportPicture[] = [];
  for (const { image, label, predicted, confidence } of shown.slice(0, MOST_PICTURES))
    pictures.push({
      jpeg: await thumbnail(image, decoding),
      caption: `${name(label)} taken for ${name(predicted)}, ${(100 * confidence).toFixed(0)}%`,
    });
  return pictures;
}

async function thumbnail(sample: Sample | LazySample, decoding: DecodeOptions): Promise<string> {
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

/** The upper half of 16 bits. */
const eightBits = (image: Image | DeepImage): Image =>
  image.data instanceof Uint8Array
    ? (image as Image)
    : { ...image, data: Uint8Array.from(image.data, (value) => value >> 8) };
