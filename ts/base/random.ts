/**
 * Random streams that depend on positions, not on time: the random numbers of a sample follow from the seed and the
 * sample's position in the stream. A batch is therefore the same whichever worker prepares it and when, and a stream
 * can resume from its position alone.
 */
import { setImmediate } from 'node:timers/promises';

/**
 * A uniform generator on [0, 1) (splitmix32).
 * @param seed Any integer.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let hash = state;
    hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A 32-bit hash of integers from 0 to 2^53 − 1 (chained rounds of MurmurHash3's finaliser). */
export function mix(...values: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const value of values)
    for (const half of [value >>> 0, Math.floor(value / 2 ** 32)]) {
      hash = Math.imul(hash ^ half, 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
      hash ^= hash >>> 16;
    }
  return hash >>> 0;
}

/** An integer from 0 to `count` − 1. */
export function randomInteger(random: () => number, count: number): number {
  return Math.floor(random() * count);
}

/** Normally distributed, mean 0, standard deviation 1 (Box–Muller). */
export function randomNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Draws `count` elements at random without replacement; returns the whole list in its order if it has no more. */
export function drawn<T>(list: readonly T[], count: number, random: () => number): T[] {
  const left = [...list];
  if (count >= left.length) return left;
  for (let i = 0; i < count; i++) {
    const at = i + randomInteger(random, left.length - i);
    [left[i], left[at]] = [left[at]!, left[i]!];
  }
  return left.slice(0, count);
}

/** The numbers from 0 to `count` − 1 in random order (Fisher–Yates). Yields to the event loop in between. */
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
