/** Draws maps as PNG files: indices with a palette, grey edges, and either over the image. */
import { either, instance, integer, type Kind, list, number, oneOf, string } from '../../base/kinds.ts';
import { fields, optional, required, signature } from '../../base/options.ts';
import { yielding } from '../../base/yielding.ts';
import { escapeHtml } from '../../pages/html.ts';
import { type Image, image } from '../image.ts';
import { encodeIndexedPng } from '../indexed-png.ts';
import { classColour, cssColour } from '../palette.ts';
import type { ClassArea, Segmentation } from './segmentation.ts';

/** The opacity of a class's colour over the image. */
const OPACITY = 0.6;
const EDGE: readonly number[] = [255, 40, 0];
const LINE = 20;
/** Slightly more than the average width of the legend's letters. */
const LETTER = 7.5;

const area = fields<ClassArea>('the area of a class, { label, index, pixels, share }', {
  label: required(string, 'The name of the class.'),
  index: required(integer(0), 'The index of the class.'),
  pixels: required(integer(0), 'The number of its pixels.'),
  share: required(number(), 'Its share of the image.'),
});
interface Form {
  readonly kind: 'classes' | 'edges';
  readonly width: number;
  readonly height: number;
  readonly map: Uint8Array | Float32Array;
  readonly areas?: readonly ClassArea[];
}
const form = fields<Form>('a Segmentation, { kind, width, height, map }', {
  kind: required(oneOf('classes', 'edges'), 'What the map contains: classes or edges.'),
  width: required(integer(1), 'The width in pixels.'),
  height: required(integer(1), 'The height in pixels.'),
  map: required(
    either(instance('a Uint8Array', Uint8Array), instance('a Float32Array', Float32Array)),
    'The values, row by row.',
  ),
  areas: optional(list(area, { of: 'areas' }), 'none', 'The areas of the classes.'),
});
const segmentation: Kind<Segmentation> = {
  expected: form.expected,
  mistake(value) {
    const mistake = form.mistake(value);
    if (mistake !== null) return mistake;
    const { kind, map, width, height } = value as Segmentation;
    const [type, expected] =
      kind === 'classes'
        ? ([Uint8Array, 'a Uint8Array'] as const)
        : ([Float32Array, 'a Float32Array'] as const);
    if (map instanceof type && map.length === width * height) return null;
    return { path: '.map', expected: `${expected} of ${width}×${height} values`, actual: map };
  },
};

const SEGMENTATION_PNG = signature('segmentationPng', {
  segmentation: required(segmentation, 'A segmentation.'),
});
const SEGMENTATION_PICTURE = signature('segmentationPicture', {
  image: required(image, 'A decoded image.'),
  segmentation: required(segmentation, 'The segmentation of the image.'),
});

/**
 * Draws the map alone: classes as a PNG whose samples are their indices, with PASCAL VOC's palette; edges as a grey PNG, in
 * which 255 stands for 1.
 * @returns An encoded PNG with the size of the image
 * @example writeFileSync('classes.png', await segmentationPng(await segmenter.segment('street.jpg')));
 */
export async function segmentationPng(segmentation: Segmentation): Promise<Uint8Array> {
  SEGMENTATION_PNG.check(segmentation);
  const { kind, width, height, map } = segmentation;
  if (kind === 'classes') return encodeIndexedPng(map, width, height);
  const { default: sharp } = await import('sharp');
  const grey = Uint8Array.from(map, (value) => Math.round(255 * value));
  return sharp(grey, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
}

/**
 * Draws the map over the image: classes in their colours except the first one, the background, with a legend below; edges in
 * red. Text uses a font of the system and is omitted if there is none.
 * @returns An encoded PNG with the width of the image
 * @example
 * const image = await decodeImage('street.jpg');
 * writeFileSync('found.png', await segmentationPicture(image, await segmenter.segment(image)));
 */
export async function segmentationPicture(image: Image, segmentation: Segmentation): Promise<Uint8Array> {
  SEGMENTATION_PICTURE.check(image, segmentation);
  const { default: sharp } = await import('sharp');
  const { width, height } = image;
  if (segmentation.width !== width || segmentation.height !== height)
    SEGMENTATION_PICTURE.check(image, { ...segmentation, width, height });
  const data = await blended(image, segmentation);
  const legend = segmentation.kind === 'classes' ? legendOf(segmentation.areas ?? [], width) : null;
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  if (legend === null) return picture.png().toBuffer();
  return picture
    .extend({ bottom: legend.height, background: '#ffffff' })
    .composite([{ input: Buffer.from(legend.svg), left: 0, top: height }])
    .removeAlpha()
    .png()
    .toBuffer();
}

/** RGB. */
async function blended(
  { width, height, channels, data }: Image,
  { kind, map }: Segmentation,
): Promise<Uint8Array> {
  const result = new Uint8Array(width * height * 3);
  const colours = Array.from({ length: 256 }, (_, index) => classColour(index));
  const yieldIfDue = yielding();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const value = map[at]!;
      const part = kind === 'edges' ? value : value === 0 ? 0 : OPACITY;
      const colour = kind === 'edges' ? EDGE : colours[value]!;
      for (let c = 0; c < 3; c++) {
        const below = data[at * channels + (channels === 3 ? c : 0)]!;
        result[at * 3 + c] = Math.round(below + (colour[c]! - below) * part);
      }
    }
    await yieldIfDue();
  }
  return result;
}

/** The colours with their classes, in as many lines as needed. */
function legendOf(areas: readonly ClassArea[], width: number): { svg: string; height: number } {
  let [x, y] = [4, 4];
  const items = areas.map(({ index, label, share }) => {
    const words = `${label} ${(100 * share).toFixed(1)}%`;
    const length = 18 + words.length * LETTER + 12;
    if (x > 4 && x + length > width) [x, y] = [4, y + LINE];
    const item = `<rect x="${x}" y="${y}" width="13" height="13" fill="${cssColour(index)}" stroke="#999"/><text x="${x + 18}" y="${y + 11}">${escapeHtml(words)}</text>`;
    x += length;
    return item;
  });
  const height = y + LINE;
  return {
    height,
    svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><style>text { font: 12px sans-serif; fill: #333; }</style>${items.join('')}</svg>`,
  };
}
