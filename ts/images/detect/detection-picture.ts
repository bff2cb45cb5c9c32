/** Draws boxes, class names and scores on an image. */
import { integer, list, number, string } from '../../base/kinds.ts';
import { fields, required, signature } from '../../base/options.ts';
import { escapeHtml } from '../../pages/html.ts';
import { type Box, box } from '../geometry.ts';
import { type Image, image } from '../image.ts';
import { cssColour } from '../palette.ts';
import type { Detection } from './detection.ts';

const detection = fields<Detection>('a detection, { label, index, score, box }', {
  label: required(string, 'The name of the class.'),
  index: required(integer(0), 'The index of the class.'),
  score: required(number(), 'The score, from 0 to 1.'),
  box: required(box, "The box in the image's own pixels."),
});

const DETECTION_PICTURE = signature('detectionPicture', {
  image: required(image, 'A decoded image.'),
  detections: required(list(detection, { of: 'detections' }), 'The objects that were found in the image.'),
});

/**
 * The image with its detections. Text uses a font of the system and is omitted if there is none.
 * @returns An encoded PNG with the size of the image
 * @example
 * const image = await decodeImage('street.jpg');
 * writeFileSync('found.png', await detectionPicture(image, await detector.detect(image)));
 */
export async function detectionPicture(image: Image, detections: readonly Detection[]): Promise<Uint8Array> {
  DETECTION_PICTURE.check(image, detections);
  const { default: sharp } = await import('sharp');
  const { width, height, channels, data } = image;
  return sharp(data, { raw: { width, height, channels } })
    .toColourspace('srgb')
    .composite([{ input: Buffer.from(svgOf(image, detections)), left: 0, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer();
}

function svgOf({ width, height }: Image, detections: readonly Detection[]): string {
  const letters = Math.max(10, Math.min(20, Math.round(Math.min(width, height) / 24)));
  const line = Math.max(1, letters / 7);
  const rectangle = ({ x, y, width, height }: Box, colour: string, thickness: number, opacity = 1) =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="none" stroke="${colour}" stroke-width="${thickness}" stroke-opacity="${opacity}"/>`;
  const boxes = detections.map(
    ({ index, box }) => rectangle(box, '#fff', 2 * line, 0.5) + rectangle(box, colourOf(index), line),
  );
  // Draws the most certain detections last, above the others.
  const words = [...detections].reverse().map(({ label, index, score, box }) => {
    const text = `${label} ${score.toFixed(2)}`;
    const plate = { width: text.length * letters * 0.58 + 6, height: letters + 5 };
    const x = Math.max(0, Math.min(box.x, width - plate.width));
    const y = box.y >= plate.height ? box.y - plate.height : Math.max(0, box.y);
    return `<rect x="${x}" y="${y}" width="${plate.width}" height="${plate.height}" fill="${colourOf(index)}"/>
<text x="${x + 3}" y="${y + letters}" textLength="${plate.width - 6}" lengthAdjust="spacingAndGlyphs">${escapeHtml(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<style>text { font: bold ${letters}px sans-serif; fill: #fff; }</style>
${[...boxes, ...words].join('\n')}
</svg>`;
}

/** The colour of a class; the first colour, black, would be hard to see. */
const colourOf = (index: number): string => cssColour(index === 0 ? 22 : index);
