/** One comparison, and its parts. */
import type { Model } from '../../device/model.ts';
import { type Difference, difference } from './difference.ts';
import { type NetCase, type Parameters, type RecordedArray, readRecorded } from './golden-case.ts';

/** One array, or one expectation about a file. */
export interface Check extends Difference {
  /** The blob, `blob@layer`, or `layer, blob i`. */
  readonly name: string;
  /** The layer to examine if it diverges. */
  readonly layer: string;
  /** `layer by layer` as written, `fused` as it runs by default, or the weights file. */
  readonly mode: string;
  readonly pass: number;
}

/** The subject of a check. */
export type Label = Pick<Check, 'name' | 'layer' | 'mode' | 'pass'>;

/** A single value, such as a loss, is a sum of many values, which Caffe adds one after the other in float32. */
const SINGLE_VALUE = 1e-5;

/**
 * Compares an array with its recording.
 * @param summed The largest term of the sums in its values. A sum that is 0 except for roundings may have other roundings.
 */
export function compare(
  folder: string,
  recorded: RecordedArray,
  actual: Float32Array,
  label: Label,
  summed = 0,
): Check {
  const expected = readRecorded(folder, recorded);
  const deviation = difference(actual, expected, recorded.noise);
  const rounding = 1e-6 * summed;
  const isRounding = largest(expected) <= rounding;
  const tolerance = Math.max(
    deviation.tolerance,
    isRounding ? rounding : 0,
    expected.length === 1 ? SINGLE_VALUE * Math.abs(expected[0]!) : 0,
  );
  return { ...label, ...deviation, tolerance, ok: deviation.absolute <= tolerance };
}

/** The largest magnitude. */
export const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** A check of a value other than an array, or of one that must be exact. */
export function expectation(ok: boolean, label: Label): Check {
  const deviation = ok ? 0 : Number.POSITIVE_INFINITY;
  return { ...label, absolute: deviation, relative: deviation, tolerance: 0, ok };
}

/** The recorded inputs of a pass. */
export function readInputs(
  folder: string,
  inputs: Readonly<Record<string, RecordedArray>>,
): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, recorded]) => [name, readRecorded(folder, recorded)]),
  );
}

/** Compares the recorded blobs of layers with those on the device. */
export async function checkParameters(
  model: Model,
  folder: string,
  recorded: NetCase['params_before'],
  label: (name: string, layer: string, pass: number) => Label,
  pass: number,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [layer, list] of Object.entries(recorded ?? {})) {
    for (const [i, array] of list.entries()) {
      // Null if the layer shares another layer's blob, or if a pass removed it.
      const values = await model.parameter(layer, i);
      if (values !== null)
        checks.push(compare(folder, array, values, label(`${layer}, blob ${i}`, layer, pass)));
    }
  }
  return checks;
}

/**
 * Compares recorded blobs of layers with values by `layer/index`.
 * @param summed As in `compare`, by layer.
 */
export function compareParameters(
  folder: string,
  recorded: Parameters,
  values: ReadonlyMap<string, Float32Array>,
  label: (name: string, layer: string) => Label,
  summed: (layer: string) => number = () => 0,
): Check[] {
  return Object.entries(recorded).flatMap(([layer, list]) =>
    list.map((array, i) => {
      const actual = values.get(`${layer}/${i}`) ?? new Float32Array();
      return compare(folder, array, actual, label(`${layer}, blob ${i}`, layer), summed(layer));
    }),
  );
}
