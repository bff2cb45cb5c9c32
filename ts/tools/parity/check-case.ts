/** Replays a recorded case on a device and compares every array. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceError } from '../../base/errors.ts';
import { optionsOf } from '../../base/options.ts';
import { filterNet, netState, readNet } from '../../caffe/net-parameter.ts';
import type { Device, LoadOptions } from '../../device/device.ts';
import { acrossKinks, type Move } from './across-kinks.ts';
import type { Check } from './check.ts';
import { checkBackward } from './check-backward.ts';
import { checkNet, type Loader } from './check-net.ts';
import { checkRecipe } from './check-recipe.ts';
import { checkSolverCase } from './check-solver-case.ts';
import { checkWeights } from './check-weights.ts';
import type { GoldenCase } from './golden-case.ts';

export type { Check } from './check.ts';

export interface CaseResult {
  readonly folder: string;
  readonly kind: GoldenCase['kind'];
  readonly ok: boolean;
  /** In order of execution. */
  readonly checks: readonly Check[];
  /** The first check beyond its tolerance. */
  readonly firstDivergence: Check | null;
  /** Arrays that were recorded but not compared, with the reason. */
  readonly notChecked: readonly string[];
}

/** The precisions in which nets are compared. int8 has another kind of bound. */
export type FloatPrecision = Exclude<NonNullable<LoadOptions['precision']>, 'int8'>;

/** Half a unit in the last place of a stored or multiplied value, relative to the value. */
export const ROUNDINGS: Readonly<Record<FloatPrecision, number>> = {
  float32: 0,
  tf32: 2 ** -11,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

/** @throws the errors of loading and running, unless the case expects them */
export async function checkCase(
  device: Device,
  golden: GoldenCase,
  precision: FloatPrecision = 'float32',
): Promise<CaseResult> {
  const loader: Loader = { load: (options) => device.load({ ...options, precision }) };
  const notChecked: string[] = [];
  const checks: Check[] = [];
  // Not every device trains, and training is float32.
  const ifItTrains = async (what: string, check: (move: Move, isTrial: boolean) => Promise<Check[]>) => {
    try {
      if (precision === 'float32') checks.push(...(await acrossKinks(check)));
      else notChecked.push(`${what}: training is float32`);
    } catch (error) {
      if (!(error instanceof DeviceError && error.code === 'device/unsupported')) throw error;
      notChecked.push(`${what}: ${error.message}`);
    }
  };
  if (golden.kind === 'net') {
    checks.push(...(await checkNet(loader, golden)));
    const { backward } = golden;
    if (backward !== undefined)
      await ifItTrains('the backward pass', (move) => checkBackward(device, { ...golden, backward }, move));
  } else if (golden.kind === 'weights') checks.push(...(await checkWeights(loader, golden)));
  else if (golden.kind === 'solver')
    await ifItTrains('the training run', (move, isTrial) => checkSolverCase(device, golden, move, isTrial));
  else if (device.kind === 'reference')
    notChecked.push('a full-size net takes minutes on the reference device; use another device');
  else checks.push(...(await checkRecipe(loader, golden)));
  const judged =
    precision === 'float32' ? checks : withRoundings(checks, layerNames(golden), ROUNDINGS[precision]);
  const firstDivergence = judged.find(({ ok }) => !ok) ?? null;
  return {
    folder: golden.folder,
    kind: golden.kind,
    ok: firstDivergence === null,
    checks: judged,
    firstDivergence,
    notChecked,
  };
}

/**
 * Each layer rounds its inputs and outputs, and in the worst case these roundings add up linearly. So an array may differ by
 * (4 + the number of layers up to its own) roundings of its largest value. The 4 are for inputs, weights and cancelling
 * sums.
 */
function withRoundings(checks: readonly Check[], layers: readonly string[], rounding: number): Check[] {
  return checks.map((check) => {
    const index = layers.indexOf(check.layer);
    const bound = (4 + (index < 0 ? layers.length : index + 1)) * rounding;
    return check.relative <= bound ? { ...check, ok: true } : check;
  });
}

function layerNames(golden: GoldenCase): string[] {
  if (!('net' in golden)) return [];
  const file = join(golden.folder, golden.net);
  const net = filterNet(
    readNet(readFileSync(file, 'utf8'), { file }),
    golden.kind === 'net' ? optionsOf(netState, golden) : {},
  );
  return (net.layer ?? []).map(({ name }) => name ?? '');
}
