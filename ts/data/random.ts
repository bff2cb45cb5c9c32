/**
 * Randomness that depends on a place, not on a time: what is drawn for a sample follows from the seed and the sample's
 * position in the stream. So a batch is the same whichever worker makes it and whenever, and a stream is resumed by its
 * position alone.
 */
import { setImmediate } from 'node:timers/promises';
import { seededRandom } from '../caffe/fillers.ts';

export { mix } from '../caffe/fillers.ts';

/** An integer from 0 to `count` − 1. */
export function randomInteger(random: () => number, count: number): number {
  return Math.floor(random() * count);
}

/** Normally distributed, mean 0, standard deviation 1 (Box–Muller). */
export function randomNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The numbers from 0 to `count` − 1 in random order (Fisher–Yates); others get their turn in between. */
export async function shuffled(count: number, seed: number): Promise<Uint32Array> {
  const random = seededRandom(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = randomInteger(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
    if (i % 2 ** 16 === 0) await setImmediate();
  }
  return order;
}
