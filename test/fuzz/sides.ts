/** Ways to compute a random net: a device with all passes, or layer by layer; a training step, fused or not. */
import { elementCount } from '../../ts/base/shape.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { type Device, type DeviceOptions, openDevice, type Trainer } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { INSTRUCTION_SETS } from '../support/open-kernels.ts';
import { Random } from './random.ts';
import { values } from './random-builder.ts';
import { prototxtOf, type RandomNet, randomNet, randomTrainingNet, weightsOf } from './random-net.ts';
import type { Comparison, Results, Side } from './random-nets.ts';

/** Forward passes: a dozen float32 layers with an error of up to 1e-5 each, including Winograd's rounding. */
export const forwardComparison = (reference: Device, sides: readonly Side[]): Comparison => ({
  make: randomNet,
  reference: forward('layer by layer', reference, { optimize: false }),
  sides,
  bound: 1e-4,
});

/**
 * Training steps. Some diffs are 0 up to rounding, such as that of a bias before a BatchNorm, so all are compared
 * relative to the largest diff of the net.
 */
export const trainingComparison = (reference: Device, sides: readonly Side[]): Comparison => ({
  make: randomTrainingNet,
  reference: training('layer by layer', reference, { layerByLayer: true }),
  sides,
  bound: 3e-4,
  least: (expected) => 1e-2 * largestDiff(expected),
  hasKinks: true,
});

function largestDiff(results: Results): number {
  let largest = 1e-3;
  for (const [name, diff] of results)
    if (name.startsWith('diff of '))
      for (const value of diff) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** Random statistics may look like those of an untrained net. */
export const QUIET: DeviceOptions = { onWarning: () => {} };

const inputsOf = ({ inputs }: RandomNet) =>
  Object.fromEntries(Object.entries(inputs).map(([name, { data }]) => [name, data]));

/**
 * A forward pass: the net's own outputs, and separately the requested ones.
 * @param options.optimize Whether passes rewrite the net; otherwise it runs layer by layer.
 * @param options.precision Default float32.
 */
export function forward(
  name: string,
  device: Device,
  { optimize, precision = 'float32' }: { optimize: boolean; precision?: 'float32' | 'bfloat16' },
): Side {
  const run = async (net: RandomNet) => {
    const [model, weights] = [readNet(prototxtOf(net), { file: 'random.prototxt' }), weightsOf(net)];
    const results = new Map<string, Float32Array>();
    for (const outputs of net.asked.length === 0 ? [undefined] : [undefined, net.asked]) {
      using loaded = await device.load({
        model,
        weights,
        optimize,
        precision,
        ...(outputs === undefined ? {} : { outputs }),
      });
      for (const [blob, { data }] of Object.entries(await loaded.run(inputsOf(net))))
        results.set(outputs === undefined ? blob : `${blob}, asked for`, data);
    }
    return results;
  };
  return { name, run };
}

/**
 * A forward and a backward pass: outputs, all diffs, and BatchNorm's statistics afterwards.
 * @param options.layerByLayer Requests every value, so that nothing is fused or recomputed.
 */
export function training(
  name: string,
  device: Device,
  { layerByLayer = false, recompute = false } = {},
): Side {
  const run = async (net: RandomNet) => {
    const everything = net.layers.flatMap(({ name: layer, tops }) => tops.map((top) => `${top}@${layer}`));
    // Half of the requested names are values, half are diffs.
    const [seen, diffs] = [0, 1].map((half) => net.asked.filter((_, i) => i % 2 === half));
    using trainer = await device.train({
      model: readNet(prototxtOf(net), { file: 'random.prototxt' }),
      weights: weightsOf(net),
      update: null,
      outputs: layerByLayer ? everything : seen!,
      diffs: ['data', ...diffs!],
      recompute,
    });
    const { outputs, blobs, parameters } = await trainer.gradients(inputsOf(net), {
      topDiffs: topDiffs(trainer, net),
    });
    const results = new Map<string, Float32Array>();
    for (const [blob, { data }] of Object.entries(outputs))
      if (!layerByLayer || !everything.includes(blob) || seen!.includes(blob)) results.set(blob, data);
    for (const [blob, { data }] of Object.entries(blobs)) results.set(`diff of ${blob}`, data);
    trainer.learnable.forEach(({ layer, index }, i) =>
      results.set(`diff of ${layer}/${index}`, parameters[i]?.data ?? new Float32Array()),
    );
    const after = await trainer.weights();
    for (const { layer } of trainer.batchNorms)
      after.layers
        .find((each) => each.name === layer)!
        .blobs.forEach((blob, i) => results.set(`${layer}/${i} afterwards`, toFloat32(blob)));
    return results;
  };
  return { name, run };
}

// The net's own outputs that are not losses.
function topDiffs(trainer: Trainer, { layers }: RandomNet): Record<string, Float32Array> {
  const read = new Set(layers.flatMap(({ bottoms, tops }) => bottoms.filter((name) => !tops.includes(name))));
  const ends = layers
    .flatMap(({ tops }) => tops)
    .filter((top) => !read.has(top) && !Object.hasOwn(trainer.lossWeights, top));
  return Object.fromEntries(
    [...new Set(ends)].map((name) => [
      name,
      values(new Random(7), elementCount(trainer.outputs[name]!), -1, 1),
    ]),
  );
}

/** The CPU device in all variants that this processor supports, by name, and why the others are absent. */
export async function openVariants(): Promise<{ variants: Map<string, Device>; absent: string[] }> {
  const options: Record<string, DeviceOptions> = {
    'the CPU': {},
    'the CPU without Winograd': { winograd: false },
    ...Object.fromEntries(
      [...INSTRUCTION_SETS, 'oneDNN' as const].map((kernels) => [`the CPU with ${kernels}`, { kernels }]),
    ),
  };
  const [variants, absent] = [new Map<string, Device>(), [] as string[]];
  for (const [name, more] of Object.entries(options))
    try {
      variants.set(name, await openDevice('cpu', { threads: 2, ...QUIET, ...more, ...cpuLibrary }));
    } catch (error) {
      absent.push(`random nets on ${name}: ${(error as Error).message}`);
    }
  return { variants, absent };
}

/**
 * Forward passes in bfloat16: within the error of rounding to 8 bits, in nets without Clip (which keeps the rounding
 * errors of large values but not the values), and the same numbers on all instruction sets.
 */
export function bfloat16Comparisons(
  reference: Device,
  variants: ReadonlyMap<string, Device>,
): { rounded: Comparison; same: Comparison } | null {
  const own = INSTRUCTION_SETS.flatMap((kernels) => {
    const device = variants.get(`the CPU with ${kernels}`);
    return device === undefined
      ? []
      : [forward(`bfloat16, ${kernels}`, device, { optimize: true, precision: 'bfloat16' })];
  });
  const [first, ...others] = own;
  if (first === undefined) return null;
  return {
    rounded: { ...forwardComparison(reference, [first]), make: netWithoutClip, bound: 0.1 },
    same: { ...forwardComparison(reference, others), reference: first, bound: 0 },
  };
}

function netWithoutClip(random: Random): RandomNet {
  const net = randomNet(random);
  return prototxtOf(net).includes('"Clip"') ? netWithoutClip(random) : net;
}

/** Forward passes and training steps on the reference and on all variants. */
export function allComparisons(
  reference: Device,
  variants: ReadonlyMap<string, Device>,
): { forward: Comparison; training: Comparison } {
  const cpu = variants.get('the CPU');
  return {
    forward: forwardComparison(reference, [
      forward('the reference', reference, { optimize: true }),
      ...[...variants].map(([name, device]) => forward(name, device, { optimize: true })),
    ]),
    training: trainingComparison(reference, [
      training('fused on the reference', reference),
      training('computed again on the reference', reference, { recompute: true }),
      ...(cpu === undefined
        ? []
        : [training('the CPU', cpu), training('computed again on the CPU', cpu, { recompute: true })]),
    ]),
  };
}
