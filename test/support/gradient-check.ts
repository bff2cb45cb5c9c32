/**
 * Caffe's GradientChecker (test_gradient_check_util.hpp) for whole nets: compares the analytic gradient of Σ diff ·
 * output + loss with central differences, for every input blob and every learnable blob.
 */

import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import { type Device, readNet, type Trainer, type WeightsFile } from '../../ts/index.ts';

export interface GradientCheck {
  /** Prototxt; inputs whose names start with `label` have no gradient. */
  readonly net: string;
  readonly phase?: 'TRAIN' | 'TEST';
  /** Values of an input. Default: from −1 to 1. */
  readonly fill?: (name: string, count: number, random: () => number) => Float32Array;
  /** Default 1e-2, as in Caffe's tests. */
  readonly step?: number;
  /** Relative to max(|analytic|, |numeric|, 1). Default 1e-3, as in Caffe's tests. */
  readonly threshold?: number;
  readonly seed: number;
}

const SAMPLES = 8;

/** @returns How many elements were compared, and how many are at a kink, where the two sides have different slopes. */
export async function checkGradients(
  device: Device,
  check: GradientCheck,
): Promise<{ compared: number; kinks: number }> {
  const { phase = 'TRAIN', step = 1e-2, threshold = 1e-3, fill = uniform } = check;
  const random = seededRandom(check.seed);
  const model = { ...readNet(check.net, { file: 'net' }), force_backward: true };
  const open = (weights?: WeightsFile) => {
    const names = (model.layer ?? []).flatMap(({ type, top }) => (type === 'Input' ? top! : []));
    const diffs = names.filter((name) => !name.startsWith('label'));
    return device.train({ model, phase, update: null, diffs, ...(weights === undefined ? {} : { weights }) });
  };
  using first = await open();
  const weights = randomised(await first.weights(), first, random);
  using trainer = await open(weights);
  const inputs = Object.fromEntries(
    Object.entries(trainer.inputs).map(([name, shape]) => [name, fill(name, elementCount(shape), random)]),
  );
  const topDiffs = Object.fromEntries(
    Object.entries(trainer.outputs)
      .filter(([name]) => !Object.hasOwn(trainer.lossWeights, name))
      .map(([name, shape]) => [name, uniform(name, elementCount(shape), random)]),
  );
  const objective = async (by: Trainer, given: Record<string, Float32Array>) => {
    const { outputs } = await by.gradients(given, { topDiffs });
    let sum = 0;
    for (const [name, { data }] of Object.entries(outputs))
      for (let i = 0; i < data.length; i++)
        sum += (trainer.lossWeights[name] ?? topDiffs[name]![i]!) * data[i]!;
    return sum;
  };
  const { blobs, parameters } = await trainer.gradients(inputs, { topDiffs });
  const result = { compared: 0, kinks: 0 };
  const compare = async (
    what: string,
    analytic: Float32Array,
    values: Float32Array,
    evaluate: (moved: Float32Array) => Promise<number>,
  ) => {
    const slope = async (i: number, h: number) => {
      const at = (value: number) => evaluate(values.with(i, value));
      const [up, down] = [Math.fround(values[i]! + h), Math.fround(values[i]! - h)];
      return ((await at(up)) - (await at(down))) / (up - down);
    };
    for (const i of sample(values.length, random)) {
      const numeric = await slope(i, step);
      const allowed = threshold * Math.max(Math.abs(numeric), Math.abs(analytic[i]!), 1);
      result.compared++;
      if (Math.abs(numeric - analytic[i]!) <= allowed) continue;
      if (Math.abs(numeric - (await slope(i, step / 3))) > allowed / 2) result.kinks++;
      else assert.unreachable(`${what}[${i}]: the gradient is ${analytic[i]}, differences give ${numeric}`);
    }
  };
  for (const [name, { data }] of Object.entries(blobs))
    await compare(`diff of ${name}`, data, inputs[name]!, (moved) =>
      objective(trainer, { ...inputs, [name]: moved }),
    );
  for (const [i, { layer, index, shape }] of trainer.learnable.entries()) {
    const diff = parameters[i];
    if (diff == null) continue;
    const values = toFloat32(weights.layers.find(({ name }) => name === layer)!.blobs[index]!);
    await compare(`diff of ${layer}, blob ${index}`, diff.data, values, async (moved) => {
      using other = await open(withBlob(weights, layer, index, blobFromFloats(shape, moved)));
      return objective(other, inputs);
    });
  }
  return result;
}

export function uniform(_: string, count: number, random: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

/**
 * Values that are at least 0.05 from each other and from 0, in random order, so that no step crosses a kink of max, |x|
 * or ReLU.
 */
export function apart(_: string, count: number, random: () => number): Float32Array {
  const values = Float32Array.from({ length: count }, (_, i) => (i + 0.5 - Math.floor(count / 2)) * 0.05);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

function sample(count: number, random: () => number): Set<number> {
  if (count <= SAMPLES) return new Set(Array.from({ length: count }, (_, i) => i));
  return new Set(Array.from({ length: SAMPLES }, () => Math.floor(random() * count)));
}

// Sets statistics to those of a trained net: a factor other than 1, a variance above 0.
function randomised(weights: WeightsFile, { batchNorms }: Trainer, random: () => number): WeightsFile {
  const statistics = new Set(batchNorms.map(({ layer }) => layer));
  return {
    ...weights,
    layers: weights.layers.map((layer) => ({
      ...layer,
      blobs: layer.blobs.map(({ shape }, i) => {
        const values = uniform('', elementCount(shape), random);
        if (!statistics.has(layer.name)) return blobFromFloats(shape, values);
        return blobFromFloats(shape, i === 0 ? values : values.map((value) => (i === 1 ? 2 + value : 1.5)));
      }),
    })),
  };
}

function withBlob(
  weights: WeightsFile,
  layer: string,
  index: number,
  blob: WeightsFile['layers'][number]['blobs'][number],
): WeightsFile {
  const layers = weights.layers.map((each) =>
    each.name === layer ? { ...each, blobs: each.blobs.map((old, i) => (i === index ? blob : old)) } : each,
  );
  return { ...weights, layers };
}
