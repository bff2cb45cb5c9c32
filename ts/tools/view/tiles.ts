/** Draws arrays as small PNGs: planes side by side in a grid, in greys or in colour. */
import type { Picture } from './page-data.ts';

/** One plane of values, row-major. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly at: (y: number, x: number) => number;
}

/** Red, green and blue of a tile. */
export type ColourPlane = readonly [Plane, Plane, Plane];

export interface Range {
  readonly minimum: number;
  readonly maximum: number;
}

/** The largest number of pixels per side for one plane. Larger planes are averaged down. */
const SIDE = 32;
const GAP = 1;
// 32 greys are all that an eye distinguishes here, and they compress to half the size of 256.
const LEVELS = 31;

export function rangeOf(values: Iterable<number>): Range {
  let [minimum, maximum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  return { minimum, maximum };
}

/** The meaning of the greys: from 0 up if no value is negative, else with 0 in the middle. */
export function greyText({ minimum, maximum }: Range): string {
  const show = (value: number) => String(Number(value.toPrecision(3)));
  if (minimum >= 0) return `black is 0, white ${show(maximum)}`;
  const most = Math.max(-minimum, maximum);
  return `middle grey is 0, black ${show(-most)}, white ${show(most)}`;
}

/** The meaning of the greys if every tile has its own scale. */
const ownGreyText = ({ minimum }: Range): string =>
  minimum >= 0
    ? 'black is 0, white the largest of each tile'
    : 'middle grey is 0, black and white are ± the largest of each tile';

/**
 * A grid of equally large planes, `columns` in a row.
 * @param range The scale of all tiles, or one range for each.
 */
export async function picture(
  planes: readonly (Plane | ColourPlane)[],
  columns: number,
  range: Range | readonly Range[],
  caption: string,
): Promise<Picture> {
  const layers = planes.map((plane) => (isColour(plane) ? plane : [plane]));
  const channels = layers[0]!.length;
  const rangeOfTile = (tile: number) => (isOneRange(range) ? range : range[tile]!);
  const { width: fullWidth, height: fullHeight } = layers[0]![0]!;
  const step = Math.max(1, Math.ceil(Math.max(fullWidth, fullHeight) / SIDE));
  const tile = { width: Math.ceil(fullWidth / step), height: Math.ceil(fullHeight / step) };
  const rows = Math.ceil(planes.length / columns);
  const width = columns * (tile.width + GAP) - GAP;
  const height = rows * (tile.height + GAP) - GAP;
  const pixels = new Uint8Array(width * height * channels).fill(grey(0, rangeOfTile(0)));
  layers.forEach((colours, i) => {
    const left = (i % columns) * (tile.width + GAP);
    const top = Math.floor(i / columns) * (tile.height + GAP);
    for (let y = 0; y < tile.height; y++)
      for (let x = 0; x < tile.width; x++)
        colours.forEach((plane, channel) => {
          const at = ((top + y) * width + left + x) * channels + channel;
          pixels[at] = grey(mean(plane, y * step, x * step, step), rangeOfTile(i));
        });
  });
  // Loaded on demand, because the library takes time and memory.
  const { default: sharp } = await import('sharp');
  const png = await sharp(pixels, { raw: { width, height, channels: channels === 3 ? 3 : 1 } })
    .toColourspace(channels === 3 ? 'srgb' : 'b-w')
    .png({ compressionLevel: 9 })
    .toBuffer();
  return { png: png.toString('base64'), width, height, caption };
}

const isColour = (plane: Plane | ColourPlane): plane is ColourPlane => Array.isArray(plane);
const isOneRange = (range: Range | readonly Range[]): range is Range => !Array.isArray(range);

/** An activation's tiles, each with its own scale, and the data that make them comparable. */
export async function scaledPicture(
  planes: readonly Plane[],
  columns: number,
  range: Range,
  what: string,
): Promise<Picture> {
  const most = largestOf(range);
  const own = planes.map((plane): Range => {
    const { minimum, maximum } = rangeOf(valuesOf(plane));
    const largest = largestOf({ minimum, maximum });
    return range.minimum >= 0 ? { minimum: 0, maximum: largest } : { minimum: -largest, maximum: largest };
  });
  const shown = await picture(planes, columns, own, `${what}; ${ownGreyText(range)}.`);
  const rows = Math.ceil(planes.length / columns);
  return {
    ...shown,
    scales: {
      columns,
      width: (shown.width + GAP) / columns - GAP,
      height: (shown.height + GAP) / rows - GAP,
      shares: own.map(({ maximum }) => (most > 0 ? Number((maximum / most).toPrecision(3)) : 0)),
      zero: grey(0, range),
      caption: `${what}; ${greyText(range)}.`,
    },
  };
}

const largestOf = ({ minimum, maximum }: Range) => Math.max(-minimum, maximum, 0);

function* valuesOf({ width, height, at }: Plane): Generator<number> {
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) yield at(y, x);
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
