/**
 * ReLU and max pooling have kinks. If a value is within a rounding of one, the gradient is one of two, and the order of a
 * sum decides which. On another processor, training may therefore take another, equally correct path. So a diverging case is
 * run again with every weight changed by about a rounding. It passes if one whole run is within the usual tolerance; checks
 * of different runs together prove nothing. A real error remains in every run.
 */

import { seededRandom } from '../../base/random.ts';
import { blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import type { Check } from './check.ts';

/** Makes other weights from the recorded ones. */
export type Move = (weights: WeightsFile) => WeightsFile;

const RUNS = 8;

/**
 * @param run The checks of a run that begins with changed weights. If `isTrial` is true, it may end at the first that fails.
 * @returns The checks of the first run that passes; if none does, all checks of the run with the recorded weights
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
