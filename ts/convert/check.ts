/** The check of a conversion. It runs source and result on the same inputs, or compares their values. */
import { toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { openDevice } from '../device/device.ts';
import type { Shapes } from '../device/tensor.ts';
import { difference } from '../tools/parity/difference.ts';
import { randomInputs } from '../tools/parity/random-input.ts';
import type { Network } from './network.ts';

export type RunInputs = Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>;

/** Something that runs a net. */
export interface Runner {
  /** Its name and version. */
  readonly by: string;
  readonly run: (inputs: RunInputs) => Promise<Readonly<Record<string, Float32Array>>>;
  readonly dispose: () => unknown;
}

/** The result of a conversion's check. */
export interface ConversionCheck {
  /** The outputs of both nets, or the values of both files if no net is known. */
  readonly compared: 'outputs' | 'values';
  /** The programs that ran the source and the result. */
  readonly source: string;
  readonly result: string;
  readonly differences: readonly {
    readonly name: string;
    readonly absolute: number;
    readonly relative: number;
  }[];
  /** The entry of `differences` with the largest `relative`: the difference divided by the source's largest value. */
  readonly largest: { readonly name: string; readonly absolute: number; readonly relative: number };
  readonly ok: boolean;
}

/** The tolerance between programs that sum in different orders, relative to the largest value. */
const TOLERANCE = 1e-4;

/**
 * resnode's CPU device.
 * @param options.optimize False runs layer by layer, as written.
 * @param options.outputs Default: what no layer reads.
 */
export async function resnodeRunner(
  { net, weights }: Network,
  { optimize, outputs }: { readonly optimize: boolean; readonly outputs?: readonly string[] | undefined },
): Promise<Runner & { inputs: Shapes }> {
  const device = await openDevice('cpu');
  const model = await device.load({
    model: net,
    weights,
    optimize,
    ...(outputs === undefined ? {} : { outputs }),
  });
  return {
    by: `resnode on the CPU${optimize ? '' : ', layer by layer'}`,
    inputs: model.inputs,
    run: async (inputs) =>
      Object.fromEntries(Object.entries(await model.run(inputs)).map(([name, { data }]) => [name, data])),
    dispose: () => {
      model.dispose();
      device.dispose();
    },
  };
}

/** Runs both on seeded inputs, of the size of pixels and of normalised pixels, and compares all outputs of the source. */
export async function compareRuns(source: Runner, result: Runner, shapes: Shapes): Promise<ConversionCheck> {
  const worst = new Map<string, { name: string; absolute: number; relative: number }>();
  for (const scale of [1, 1 / 64]) {
    const inputs = randomInputs(shapes, scale);
    const expected = await source.run(inputs);
    const actual = await result.run(inputs);
    for (const [name, values] of Object.entries(expected)) note(worst, name, actual[name], values);
  }
  return report('outputs', source.by, result.by, worst);
}

/** Compares every blob of two weights files. */
export function compareValues(source: WeightsFile, result: WeightsFile): ConversionCheck {
  const worst = new Map<string, { name: string; absolute: number; relative: number }>();
  const found = new Map(result.layers.map((layer) => [layer.name, layer]));
  for (const { name, blobs } of source.layers)
    blobs.forEach((blob, i) => {
      const other = found.get(name)?.blobs[i];
      note(worst, `${name}/${i}`, other === undefined ? undefined : toFloat32(other), toFloat32(blob));
    });
  return report('values', 'the source', 'the result read back', worst);
}

type Worst = Map<string, { name: string; absolute: number; relative: number }>;

function note(worst: Worst, name: string, actual: Float32Array | undefined, expected: Float32Array): void {
  // A result with NaN proves nothing, even if both sides have NaN.
  const hasNaN = expected.includes(Number.NaN) || (actual?.includes(Number.NaN) ?? false);
  const { absolute, relative } = hasNaN
    ? { absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY }
    : difference(actual ?? new Float32Array(0), expected);
  if (expected.length === 0 && actual !== undefined) return;
  if (!(relative <= (worst.get(name)?.relative ?? -1))) worst.set(name, { name, absolute, relative });
}

function report(
  compared: ConversionCheck['compared'],
  source: string,
  result: string,
  worst: Worst,
): ConversionCheck {
  const differences = [...worst.values()];
  const none = { name: 'nothing', absolute: 0, relative: 0 };
  const largest = differences.reduce((most, each) => (each.relative >= most.relative ? each : most), none);
  return { compared, source, result, differences, largest, ok: largest.relative <= TOLERANCE };
}
