/** Draws the results of nets on pictures of shapes as one PNG of four by two pictures. */
import sharp from 'sharp';
import { type Picture, SIZE } from './draw-shapes.ts';
import type { Detection } from './score-shapes.ts';

const [COLUMNS, ROWS, ZOOM] = [4, 2, 3];
/** The colours of the classes: R, G, B. */
const COLOURS = [
  [0, 0, 0],
  [230, 60, 60],
  [60, 200, 60],
  [70, 110, 255],
] as const;

/**
 * Draws detections with a score of at least 0.5, and tints pixels by their class.
 * @returns The same as a JPEG in base64, for a report.
 */
export async function drawResults(
  file: string,
  pictures: readonly Picture[],
  { found, maps }: { found?: readonly (readonly Detection[])[]; maps?: readonly Float32Array[] },
): Promise<string> {
  const tile = SIZE * ZOOM;
  const [width, height] = [COLUMNS * tile, ROWS * tile];
  const pixels = Buffer.alloc(width * height * 3);
  for (let k = 0; k < COLUMNS * ROWS; k++) {
    const { planes } = pictures[k]!;
    const map = maps?.[k];
    const [left, top] = [(k % COLUMNS) * tile, Math.floor(k / COLUMNS) * tile];
    const set = (x: number, y: number, colour: readonly number[]) => {
      if (x < 0 || y < 0 || x >= tile || y >= tile) return;
      pixels.set(colour, ((top + y) * width + left + x) * 3);
    };
    for (let y = 0; y < tile; y++)
      for (let x = 0; x < tile; x++) {
        const at = Math.floor(y / ZOOM) * SIZE + Math.floor(x / ZOOM);
        const colour = [2, 1, 0].map((c) => planes[c * SIZE * SIZE + at]!);
        const label = map?.[at] ?? 0;
        set(x, y, label === 0 ? colour : colour.map((value, c) => (value + COLOURS[label as 1]![c]!) / 2));
      }
    for (const { label, score, xmin, ymin, xmax, ymax } of found?.[k] ?? []) {
      if (score < 0.5) continue;
      const [x1, y1, x2, y2] = [xmin, ymin, xmax, ymax].map((side) => Math.round(side * tile)) as [
        number,
        number,
        number,
        number,
      ];
      for (const thick of [0, 1]) {
        for (let x = x1; x <= x2; x++)
          for (const y of [y1 + thick, y2 - thick]) set(x, y, COLOURS[label as 1]!);
        for (let y = y1; y <= y2; y++)
          for (const x of [x1 + thick, x2 - thick]) set(x, y, COLOURS[label as 1]!);
      }
    }
  }
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  await image.clone().png().toFile(file);
  return (await image.jpeg({ quality: 90 }).toBuffer()).toString('base64');
}
