/** Where a classifier is wrong, for a report: which classes it takes for which, and the images that it is surest of. */
import { decodeImage } from '../images/decode.ts';
import type { Outcome } from '../images/evaluate/statistics.ts';
import type { ConfusionMatrix, ReportPicture } from './report-data.ts';
import type { LabelledImage } from './split.ts';

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
 * The wrong answers that were given with the most confidence, as thumbnails.
 * @param outcomes One an image of `images`.
 */
export async function worstMistakes(
  outcomes: readonly Outcome[],
  images: readonly LabelledImage[],
  labels: readonly string[],
  maxPixels?: number,
): Promise<ReportPicture[]> {
  const wrong = outcomes
    .map((outcome, i) => ({ ...outcome, image: images[i]!.image }))
    .filter(({ label, predicted }) => label !== predicted)
    .sort((a, b) => b.confidence - a.confidence)
    .slice(0, MOST_PICTURES);
  const pictures: ReportPicture[] = [];
  for (const { image, label, predicted, confidence } of wrong)
    pictures.push({
      jpeg: await thumbnail(image, maxPixels),
      caption: `${labels[label]} taken for ${labels[predicted]}, ${(100 * confidence).toFixed(0)}%`,
    });
  return pictures;
}

async function thumbnail(file: string, maxPixels: number | undefined): Promise<string> {
  const { default: sharp } = await import('sharp');
  const { data, width, height, channels } = await decodeImage(file, {
    depth: 8,
    ...(maxPixels === undefined ? {} : { maxPixels }),
  });
  const jpeg = await sharp(data, { raw: { width, height, channels } })
    .resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .jpeg({ quality: 80 })
    .toBuffer();
  return jpeg.toString('base64');
}
