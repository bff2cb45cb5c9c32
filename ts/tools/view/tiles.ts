/** Arrays as small grey PNGs: planes side by side in a grid. */
import type { Picture } from './page-data.ts';

/** One plane of values, row-major. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly at: (y: number, x: number) => number;
}

export interface Range {
  readonly minimum: number;
  readonly maximum: number;
}

/** At most this many pixels a side for one plane; larger ones are averaged down. */
const SIDE = 32;
const GAP = 1;
// 32 greys are all that can be told apart here, and compress to half of 256.
const LEVELS = 31;

export function rangeOf(values: Float32Array): Range {
  let [minimum, maximum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  return { minimum, maximum };
}

/** What the greys mean: from 0 on where nothing is negative, else with 0 as the middle. */
export function greyText({ minimum, maximum }: Range): string {
  const show = (value: number) => String(Number(value.toPrecision(3)));
  if (minimum >= 0) return `black is 0, white ${show(maximum)}`;
  const most = Math.max(-minimum, maximum);
  return `middle grey is 0, black ${show(-most)}, white ${show(most)}`;
}

/** A grid of equally large planes, `columns` in a row. */
export async function picture(
  planes: readonly Plane[],
  columns: number,
  range: Range,
  caption: string,
): Promise<Picture> {
  const { width: fullWidth, height: fullHeight } = planes[0]!;
  const step = Math.max(1, Math.ceil(Math.max(fullWidth, fullHeight) / SIDE));
  const tile = { width: Math.ceil(fullWidth / step), height: Math.ceil(fullHeight / step) };
  const rows = Math.ceil(planes.length / columns);
  const width = columns * (tile.width + GAP) - GAP;
  const height = rows * (tile.height + GAP) - GAP;
  const pixels = new Uint8Array(width * height).fill(grey(0, range));
  planes.forEach((plane, i) => {
    const left = (i % columns) * (tile.width + GAP);
    const top = Math.floor(i / columns) * (tile.height + GAP);
    for (let y = 0; y < tile.height; y++)
      for (let x = 0; x < tile.width; x++)
        pixels[(top + y) * width + left + x] = grey(mean(plane, y * step, x * step, step), range);
  });
  // Loaded where it is needed: the library takes a while and memory.
  const { default: sharp } = await import('sharp');
  const png = await sharp(pixels, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png({ compressionLevel: 9 })
    .toBuffer();
  return { png: png.toString('base64'), width, height, caption };
}

function mean(plane: Plane, top: number, left: number, step: number): number {
  const bottom = Math.min(top + step, plane.height);
  const right = Math.min(left + step, plane.width);
  let sum = 0;
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += plane.at(y, x);
  return sum / ((bottom - top) * (right - left));
}

function grey(value: number, { minimum, maximum }: Range): number {
  const most = minimum >= 0 ? maximum : Math.max(-minimum, maximum);
  const share = most > 0 ? value / most : 0;
  const level = minimum >= 0 ? share : (share + 1) / 2;
  return Number.isFinite(level) ? (Math.round(Math.min(Math.max(level, 0), 1) * LEVELS) * 255) / LEVELS : 0;
}
