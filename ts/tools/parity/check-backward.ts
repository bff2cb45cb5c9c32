/** Replays the backward pass of a net: diffs of blobs and of parameters. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { elementCount } from '../../base/shape.ts';
import { readCaffemodel, type WeightsFile } from '../../caffe/caffemodel.ts';
import { readNet } from '../../caffe/net-parameter.ts';
import type { Device } from '../../device/device.ts';
import type { Gradients, Learnable } from '../../device/trainer.ts';
import type { Move } from './across-kinks.ts';
import { type Check, compare, compareParameters, largest, readInputs } from './check.ts';
import { type NetCase, readRecorded } from './golden-case.ts';

type BackwardCase = NetCase & {
  readonly folder: string;
  readonly backward: NonNullable<NetCase['backward']>;
};

/**
 * Runs the case twice: with every recorded blob's diff requested, which prevents fusing, and as in training, where
 * BatchNorm, Scale and ReLU are one operation.
 * @throws as Device.train and Trainer.gradients
 */
export async function checkBackward(device: Device, golden: BackwardCase, move: Move): Promise<Check[]> {
  const { folder, phase, level, stages, structure, passes, backward, weights } = golden;
  const file = join(folder, golden.net);
  const model = readNet(readFileSync(file, 'utf8'), { file });
  const inputs = readInputs(folder, passes.at(-1)!.inputs);
  const topDiffs = readInputs(folder, backward.top_diffs);
  const makers = new Map(structure.layers.flatMap(({ name, top }) => top.map((blob) => [blob, name])));
  const all = Object.keys(backward.blob_diffs);
  const outer = all.filter((blob) => Object.hasOwn(inputs, blob));
  const checks: Check[] = [];
  for (const [mode, diffs] of [
    ['backward, layer by layer', all],
    ['backward, fused', outer],
  ] as const) {
    await using trainer = await device.train({
      ...{ model, phase, level, stages, diffs, update: null },
      ...(weights === null ? {} : { weights: move(readWeightsAt(join(folder, weights))) }),
    });
    // The state that a recurrent layer keeps from run to run.
    for (const { inputs: earlier } of passes.slice(0, -1))
      await trainer.gradients(readInputs(folder, earlier), { topDiffs });
    const result = await trainer.gradients(inputs, { topDiffs });
    for (const blob of diffs) {
      const layer = makers.get(blob) ?? blob;
      const label = { name: `diff of ${blob}`, layer, mode, pass: passes.length - 1 };
      checks.push(compare(folder, backward.blob_diffs[blob]!, result.blobs[blob]!.data, label));
    }
    const values = diffsByPlace(trainer.learnable, result.parameters);
    const label = (name: string, layer: string) => ({
      name: `diff of ${name}`,
      layer,
      mode,
      pass: passes.length - 1,
    });
    checks.push(...compareParameters(folder, backward.param_diffs, values, label, summedIn(golden)));
  }
  return checks;
}

/** The largest term of the sums in a layer's parameter diffs, if its tops' diffs are recorded. */
function summedIn({ folder, structure, backward }: BackwardCase): (layer: string) => number {
  const recorded = { ...backward.blob_diffs, ...backward.top_diffs };
  return (layer) => {
    const tops = structure.layers.find(({ name }) => name === layer)?.top ?? [];
    return Math.max(
      0,
      ...tops.flatMap((top) =>
        recorded[top] === undefined ? [] : [largest(readRecorded(folder, recorded[top]))],
      ),
    );
  };
}

/**
 * Diffs by `layer/index`. A shared blob's diff appears under each layer that has it. Missing diffs are zeros, as in Caffe.
 */
export function diffsByPlace(
  learnable: readonly Learnable[],
  diffs: Gradients['parameters'],
): ReadonlyMap<string, Float32Array> {
  return new Map(
    learnable.flatMap(({ places, shape }, i) => {
      const values = diffs[i]?.data ?? new Float32Array(elementCount(shape));
      return places.map(({ layer, index }) => [`${layer}/${index}`, values] as const);
    }),
  );
}

/** The weights in a .caffemodel. */
export const readWeightsAt = (file: string): WeightsFile => readCaffemodel(readFileSync(file), { file });
