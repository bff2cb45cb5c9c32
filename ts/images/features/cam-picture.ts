/**
 * A figure of a class activation map: the part that the net saw, the same with the map over it, the colour scale and a
 * caption.
 */
import { string } from '../../base/kinds.ts';
import { required, signature } from '../../base/options.ts';
import type { Tensor } from '../../device/tensor.ts';
import { escapeHtml } from '../../pages/html.ts';
import type { Resize, Size } from '../geometry.ts';
import type { Image } from '../image.ts';
import { DRAWN, heat, shownWithMap } from './cam-overlay.ts';

const GAP = 8;
const SCALE = 14;
const LINE = 18;
/** Slightly more than the average width of the caption's letters. */
const LETTER = 6.8;

const CAM_PICTURE = signature('camPicture', {
  ...DRAWN,
  caption: required(string, 'The text below the picture, e.g. the class and its score.'),
});

/**
 * Draws the part of the image that the net saw, and beside it the same under the map, with the colour scale and a caption
 * below. Text uses a font of the system and is omitted if there is none.
 * @param shown The part of the image that the net saw: its resize and centre crop.
 * @param map The map of `classActivationMap`, H×W.
 * @returns An encoded PNG
 * @example
 * const { map, class: index, score } = await classActivationMap(model, head, { data: pixels });
 * writeFileSync('cam.png', await camPicture(image, preprocess, map, `class ${index}, score ${score}`));
 */
export async function camPicture(
  image: Image,
  shown: { resize: Resize; crop: Size },
  map: Tensor,
  caption: string,
): Promise<Uint8Array> {
  CAM_PICTURE.check(image, shown, map, caption);
  const { default: sharp } = await import('sharp');
  const { width, height, original, overlay, maximum } = await shownWithMap(image, shown, map);
  const lines = wrap(caption, Math.floor((2 * width + GAP) / LETTER));
  const whole = { width: 2 * width + 3 * GAP, height: height + 3 * GAP + SCALE + (1 + lines.length) * LINE };
  const raw = { raw: { width, height, channels: 3 as const } };
  const words = svgOf(whole, { top: height + 2 * GAP, left: width + 2 * GAP, width }, maximum, lines);
  return sharp({ create: { ...whole, channels: 3, background: '#ffffff' } })
    .composite([
      { input: Buffer.from(original.buffer), ...raw, left: GAP, top: GAP },
      { input: Buffer.from(overlay.buffer), ...raw, left: width + 2 * GAP, top: GAP },
      { input: Buffer.from(words), left: 0, top: 0 },
    ])
    .removeAlpha()
    .png()
    .toBuffer();
}

/** Breaks text into lines of at most `most` letters if its words allow it. */
function wrap(text: string, most: number): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length <= most || lines.at(-1) === '') lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}

/** The scale below the map, and the text. */
function svgOf(
  whole: Size,
  scale: { top: number; left: number; width: number },
  maximum: number,
  caption: readonly string[],
): string {
  const { top, left, width } = scale;
  const stops = Array.from({ length: 8 }, (_, i) => {
    const share = i / 7;
    const [red, green, blue] = heat(share).map(Math.round);
    return `<stop offset="${share}" stop-color="rgb(${red},${green},${blue})" stop-opacity="${0.75 * share}"/>`;
  });
  const text = (x: number, y: number, anchor: string, words: string) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeHtml(words)}</text>`;
  const numbers = top + SCALE + LINE - 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${whole.width}" height="${whole.height}">
<defs><linearGradient id="heat">${stops.join('')}</linearGradient></defs>
<style>text { font: 12px sans-serif; fill: #333; }</style>
<rect x="${left}" y="${top}" width="${width}" height="${SCALE}" fill="url(#heat)" stroke="#999" stroke-width="0.5"/>
${text(left, numbers, 'start', '0')}${text(left + width, numbers, 'end', String(Number(maximum.toPrecision(3))))}
${text(GAP, top + SCALE - 2, 'start', 'as the net sees it')}
${caption.map((line, i) => text(GAP, numbers + (i + 1) * LINE, 'start', line)).join('')}
</svg>`;
}
