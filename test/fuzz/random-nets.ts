/** Runs random nets fused on a device against layer by layer on the reference. */
import { readNet } from '../../ts/caffe/net-parameter.ts';
import type { Device, Outputs } from '../../ts/index.ts';
import { Random } from './random.ts';
import { type RandomNet, randomNet } from './random-net.ts';

/** Of the largest value of a blob: a dozen layers of float32, each within 1e-5, Winograd's roundings among them. */
const BOUND = 1e-4;

export interface Difference {
  readonly net: number;
  readonly device: string;
  readonly blob: string;
  /** Of the largest magnitude in the blob; NaN where one side alone is not a number. */
  readonly relative: number;
  readonly prototxt: string;
}

export interface Compared {
  nets: number;
  blobs: number;
  worst: number;
  readonly differences: Difference[];
}

/**
 * Nets `from` to `to` − 1 of a seed.
 * @param devices What to compare, by a name for messages.
 */
export async function compareRandomNets(
  seed: number,
  from: number,
  to: number,
  reference: Device,
  devices: ReadonlyMap<string, Device>,
): Promise<Compared> {
  const result: Compared = { nets: 0, blobs: 0, worst: 0, differences: [] };
  for (let net = from; net < to; net++) {
    const made = randomNet(new Random(seed * 1_000_003 + net));
    const expected = await runNet(reference, made, false);
    result.nets++;
    for (const [name, device] of devices) {
      const actual = await runNet(device, made, true);
      for (const [blob, { data }] of Object.entries(expected)) {
        const relative = differenceOf(actual[blob]!.data, data);
        result.blobs++;
        if (relative <= BOUND) result.worst = Math.max(result.worst, relative);
        else result.differences.push({ net, device: name, blob, relative, prototxt: made.prototxt });
      }
    }
  }
  return result;
}

async function runNet(
  device: Device,
  { prototxt, weights, input, asked }: RandomNet,
  optimize: boolean,
): Promise<Outputs> {
  const net = readNet(prototxt, { file: 'random.prototxt' });
  const load = (outputs: readonly string[] | undefined) =>
    device.load({ model: net, weights, optimize, ...(outputs === undefined ? {} : { outputs }) });
  // What is asked for comes on top of the net's own ends.
  using whole = await load(undefined);
  const results = await whole.run({ data: input.data });
  if (asked.length === 0) return results;
  using part = await load(asked);
  return { ...results, ...(await part.run({ data: input.data })) };
}

function differenceOf(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.NaN;
  let [most, difference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i]!, expected[i]!];
    if (Object.is(a, b) || a === b) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.NaN;
    difference = Math.max(difference, Math.abs(a - b));
    most = Math.max(most, Math.abs(b));
  }
  return most === 0 ? difference : difference / Math.max(most, 1e-3);
}
