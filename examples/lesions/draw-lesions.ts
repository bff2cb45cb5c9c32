/** Drawn scans: 12-bit values in 16-bit PNG files, a few of which have a faint, round lesion near the middle. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

export interface Counts {
  readonly clear: number;
  readonly lesion: number;
}

const SIDE = 32;
/** Of 4096 values; a detector has room for the others. */
const TISSUE = 1000;
const NOISE = 25;
/** The brightness of a lesion above the tissue. */
const CONTRAST = 90;
/** The centre and width of the interesting values. */
export const WINDOW = [TISSUE + 100, 260] as const;

/** Writes `folder/train` and `folder/val`, each with a folder for each class. */
export async function drawLesions(
  folder: string,
  { train, val, seed = 1 }: { readonly train: Counts; readonly val: Counts; readonly seed?: number },
): Promise<void> {
  const random = generator(seed);
  for (const [part, counts] of Object.entries({ train, val }))
    for (const [name, count] of Object.entries(counts)) {
      const place = join(folder, part, name);
      await mkdir(place, { recursive: true });
      for (let i = 0; i < count; i++) {
        const values = draw(name === 'lesion', random);
        await sharp(values, { raw: { width: SIDE, height: SIDE, channels: 1 } })
          .toColourspace('grey16')
          .png()
          .toFile(join(place, `${i}.png`));
      }
    }
}

function draw(hasLesion: boolean, random: () => number): Uint16Array {
  // Folds of the tissue, which all scans have.
  const [angle, period, phase] = [Math.PI * random(), 8 + 10 * random(), 7 * random()];
  const [x, y, radius] = [13 + 6 * random(), 13 + 6 * random(), 2.5 + 1.5 * random()];
  return Uint16Array.from({ length: SIDE * SIDE }, (_, at) => {
    const [column, row] = [at % SIDE, Math.floor(at / SIDE)];
    const along = (column * Math.cos(angle) + row * Math.sin(angle)) / period;
    const folds = 25 * Math.sin(2 * Math.PI * along + phase);
    const distance = ((column - x) ** 2 + (row - y) ** 2) / (2 * radius ** 2);
    const lesion = hasLesion ? CONTRAST * Math.exp(-distance) : 0;
    return Math.round(TISSUE + folds + lesion + NOISE * normal(random));
  });
}

/** The method of Box and Muller. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Mulberry32: the same numbers on every machine. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
