/** Replays a recorded case on a device and compares every array. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toFloat32 } from '../caffe/blob.ts';
import { filterNet, readNet } from '../caffe/net-parameter.ts';
import { WeightsError } from '../errors.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Device, LoadOptions } from '../runtime/device.ts';
import type { Model, Outputs } from '../runtime/model.ts';
import { type Difference, difference } from './difference.ts';
import {
  type GoldenCase,
  type NetCase,
  type RecipeCase,
  type RecordedArray,
  readRecorded,
  type WeightsCase,
} from './golden-case.ts';
import { recipeInput, recipeWeights } from './recipe.ts';

/** One array, or one expectation about a file. */
export interface Check extends Difference {
  /** The blob, `blob@layer`, or `layer, blob i`. */
  readonly name: string;
  /** The layer to look at when it diverges. */
  readonly layer: string;
  /** `layer by layer` as written, `fused` as it runs by default, or the weights file. */
  readonly mode: string;
  readonly pass: number;
}

export interface CaseResult {
  readonly folder: string;
  readonly kind: GoldenCase['kind'];
  readonly ok: boolean;
  /** In order of execution. */
  readonly checks: readonly Check[];
  /** The first that is beyond its tolerance. */
  readonly firstDivergence: Check | null;
  /** Recorded, but not compared, and why. */
  readonly notChecked: readonly string[];
}

type Precision = Exclude<NonNullable<LoadOptions['precision']>, 'int8'>;
/** What loads the nets of a case. */
type Loader = Pick<Device, 'load'>;

/** Half a unit in the last place of what is stored or multiplied, as a share of the value. */
const ROUNDINGS: Readonly<Record<Precision, number>> = {
  float32: 0,
  tf32: 2 ** -11,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

/** @throws what loading and running throw, except where the case expects it */
export async function checkCase(
  device: Device,
  golden: GoldenCase,
  precision: Precision = 'float32',
): Promise<CaseResult> {
  const loader: Loader = { load: (options) => device.load({ ...options, precision }) };
  const notChecked: string[] = [];
  let checks: Check[] = [];
  if (golden.kind === 'net') {
    checks = await checkNet(loader, golden);
    if (golden.backward !== undefined) notChecked.push('backward arrays: only forward passes are compared');
  } else if (golden.kind === 'weights') checks = await checkWeights(loader, golden);
  else if (golden.kind === 'recipe') {
    if (device.kind === 'reference')
      notChecked.push('a full-size net takes minutes on the reference device; use another device');
    else checks = await checkRecipe(loader, golden);
  } else notChecked.push('a recorded training run: only forward passes are compared');
  if (precision !== 'float32') checks = withRoundings(checks, layerNames(golden), ROUNDINGS[precision]);
  const firstDivergence = checks.find(({ ok }) => !ok) ?? null;
  return {
    folder: golden.folder,
    kind: golden.kind,
    ok: firstDivergence === null,
    checks,
    firstDivergence,
    notChecked,
  };
}

/**
 * Each layer rounds what it reads and writes, and roundings add up like a line at worst: an array may be apart by
 * (4 + the layers up to its own) roundings of its largest value; the 4 are for inputs, weights and sums that cancel.
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
  const net = filterNet(readNet(readFileSync(file, 'utf8'), { file }), golden.kind === 'net' ? golden : {});
  return (net.layer ?? []).map(({ name }) => name ?? '');
}

type Folder = { readonly folder: string };
type Label = Pick<Check, 'name' | 'layer' | 'mode' | 'pass'>;

function compare(folder: string, recorded: RecordedArray, actual: Float32Array, label: Label): Check {
  return { ...label, ...difference(actual, readRecorded(folder, recorded), recorded.noise) };
}

async function checkNet(device: Loader, golden: NetCase & Folder): Promise<Check[]> {
  const { folder, phase, level, stages, structure, passes } = golden;
  const last = passes.at(-1)!;
  const tops = new Map(structure.layers.map(({ name, top }) => [name, top]));
  const makers = new Map(structure.layers.flatMap(({ name, top }) => top.map((blob) => [blob, name])));
  const order = structure.layers.map(({ name }) => name);
  const blobs = Object.keys(last.blobs ?? {});
  const layerTops = Object.keys(last.layers ?? {}).flatMap((name) =>
    tops.get(name)!.map((top) => `${top}@${name}`),
  );
  const model = join(folder, golden.net);
  const net = filterNet(readNet(readFileSync(model, 'utf8'), { file: model }), golden);
  const graph = graphFromCaffe(net, { phase });
  const losses = [...graph.lossWeights].map(([id, weight]) => {
    const { blob, layer } = graph.values[id]!;
    return { name: `${blob}@${layer}`, blob, weight };
  });
  const common = { model: net, phase, level, stages };
  const weights = golden.weights === null ? {} : { weights: join(folder, golden.weights) };
  const checks: Check[] = [];
  for (const mode of ['layer by layer', 'fused'] as const) {
    const isWritten = mode === 'layer by layer';
    const outputs = isWritten
      ? [...new Set([...blobs, ...layerTops, ...losses.map(({ name }) => name)])]
      : structure.outputs;
    await using loaded = await device.load({
      ...common,
      ...weights,
      outputs,
      ...(isWritten ? { optimize: false } : {}),
    });
    const label = (name: string, layer: string, pass: number) => ({ name, layer, mode, pass });
    if (isWritten && golden.weights !== null)
      checks.push(...(await checkParameters(loaded, folder, golden.params_before, label, 0)));
    for (const [index, pass] of passes.entries()) {
      const results = await loaded.run(readInputs(folder, pass.inputs));
      const found: Check[] = [];
      for (const [name, recorded] of Object.entries(pass.blobs ?? {})) {
        const result = results[name];
        if (result !== undefined)
          found.push(compare(folder, recorded, result.data, label(name, makers.get(name) ?? name, index)));
      }
      if (isWritten) {
        for (const [layer, list] of Object.entries(pass.layers ?? {}))
          list.forEach((recorded, i) => {
            const name = `${tops.get(layer)![i]}@${layer}`;
            found.push(compare(folder, recorded, results[name]!.data, label(name, layer, index)));
          });
        found.push(...checkLoss(pass, losses, results, index, mode));
      }
      found.sort((a, b) => order.indexOf(a.layer) - order.indexOf(b.layer));
      checks.push(...found, ...(await checkParameters(loaded, folder, pass.params_after, label, index)));
    }
  }
  return checks;
}

function readInputs(folder: string, inputs: Readonly<Record<string, RecordedArray>>) {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, recorded]) => [name, readRecorded(folder, recorded)]),
  );
}

async function checkParameters(
  model: Model,
  folder: string,
  recorded: NetCase['params_before'],
  label: (name: string, layer: string, pass: number) => Label,
  pass: number,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [layer, list] of Object.entries(recorded ?? {})) {
    for (const [i, array] of list.entries()) {
      // Null where the layer shares another's blob, or a pass folded it away.
      const values = await model.parameter(layer, i);
      if (values !== null)
        checks.push(compare(folder, array, values, label(`${layer}, blob ${i}`, layer, pass)));
    }
  }
  return checks;
}

// Net::Forward: the loss is Σ loss_weight · Σ top; its noise is that of its tops.
function checkLoss(
  pass: NetCase['passes'][number],
  losses: readonly { name: string; blob: string; weight: number }[],
  results: Outputs,
  index: number,
  mode: string,
): Check[] {
  if (pass.loss === undefined || losses.length === 0) return [];
  let [total, noise] = [0, 0];
  for (const { name, blob, weight } of losses) {
    const { data } = results[name]!;
    total += weight * data.reduce((sum, value) => sum + value, 0);
    noise += Math.abs(weight) * (pass.blobs?.[blob]?.noise ?? 0) * data.length;
  }
  const apart = difference(Float32Array.of(total), Float32Array.of(pass.loss), noise);
  return [{ name: 'the loss', layer: losses.at(-1)!.name.split('@').at(-1)!, mode, pass: index, ...apart }];
}

async function checkWeights(device: Loader, golden: WeightsCase & Folder): Promise<Check[]> {
  const { folder } = golden;
  const checks: Check[] = [];
  const load = (file: string) =>
    device.load({
      model: join(folder, golden.net),
      weights: join(folder, file),
      outputs: Object.keys(golden.outputs),
      optimize: false,
    });
  for (const file of Object.keys(golden.equivalent)) {
    await using model = await load(file);
    const label = (name: string, layer: string) => ({ name, layer, mode: file, pass: 0 });
    checks.push(...(await checkParameters(model, folder, golden.params, label, 0)));
    const results = await model.run(readInputs(folder, golden.inputs));
    for (const [name, recorded] of Object.entries(golden.outputs))
      checks.push(compare(folder, recorded, results[name]!.data, label(name, name)));
  }
  for (const [file, { ok: accepted, about }] of Object.entries(golden.refused)) {
    const outcome = await load(file).then(
      (model) => {
        model.dispose();
        return 'accepted';
      },
      (error: unknown) => {
        if (error instanceof WeightsError) return 'refused';
        throw error;
      },
    );
    const ok = outcome === (accepted ? 'accepted' : 'refused');
    const apart = ok ? 0 : Number.POSITIVE_INFINITY;
    const name = `${outcome}: ${about}`;
    checks.push({ name, layer: '', mode: file, pass: 0, absolute: apart, relative: apart, tolerance: 0, ok });
  }
  return checks;
}

async function checkRecipe(device: Loader, golden: RecipeCase & Folder): Promise<Check[]> {
  const { folder, seed, input, samples, samples_file: file } = golden;
  const model = join(folder, golden.net);
  const net = filterNet(readNet(readFileSync(model, 'utf8'), { file: model }));
  const weights = recipeWeights(graphFromCaffe(net), seed);
  const data = recipeInput(input.shape, seed);
  const checks: Check[] = [
    hashCheck('the input', input.sha256, data),
    ...weights.layers.flatMap(({ name, blobs }) =>
      blobs.map((blob, i) =>
        hashCheck(`${name}, blob ${i}`, golden.weights_sha256[name]![i]!, toFloat32(blob)),
      ),
    ),
  ];
  const values = readRecorded(folder, file);
  const wanted = Object.entries(samples);
  for (const mode of ['layer by layer', 'fused'] as const) {
    const isWritten = mode === 'layer by layer';
    await using loaded = await device.load({
      model: net,
      weights,
      ...(isWritten ? { optimize: false, outputs: wanted.map(([name]) => name) } : {}),
    });
    const results = await loaded.run({ data });
    for (const [name, { stride, offset, count }] of wanted) {
      if (results[name] === undefined) continue;
      const actual = Float32Array.from({ length: count }, (_, i) => results[name]!.data[i * stride]!);
      const apart = difference(actual, values.subarray(offset, offset + count), file.noise);
      checks.push({ name, layer: name, mode, pass: 0, ...apart });
    }
    for (const [name, recorded] of Object.entries(golden.blobs)) {
      if (results[name] === undefined) continue;
      const stride = recorded.stride ?? 1;
      const all = results[name].data;
      const actual = stride === 1 ? all : all.filter((_, i) => i % stride === 0);
      checks.push(compare(folder, recorded, actual, { name: `${name}, whole`, layer: name, mode, pass: 0 }));
    }
  }
  return checks;
}

function hashCheck(name: string, expected: string, values: Float32Array): Check {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const ok = createHash('sha256').update(bytes).digest('hex') === expected;
  const apart = ok ? 0 : Number.POSITIVE_INFINITY;
  return { name, layer: name, mode: 'SHA-256', pass: 0, absolute: apart, relative: apart, tolerance: 0, ok };
}
