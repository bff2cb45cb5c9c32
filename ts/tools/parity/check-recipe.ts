/** Checks a full-size net whose weights and input come from a formula. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toFloat32 } from '../../caffe/blob.ts';
import { filterNet, readNet } from '../../caffe/net-parameter.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { type Check, compare, expectation } from './check.ts';
import type { Loader } from './check-net.ts';
import { difference } from './difference.ts';
import { type RecipeCase, readRecorded } from './golden-case.ts';
import { recipeInput, recipeWeights } from './recipe.ts';

/** @throws the errors of Device.load and Model.run */
export async function checkRecipe(
  device: Loader,
  golden: RecipeCase & { readonly folder: string },
): Promise<Check[]> {
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
  const expected = Object.entries(samples);
  for (const mode of ['layer by layer', 'fused'] as const) {
    const isWritten = mode === 'layer by layer';
    await using loaded = await device.load({
      model: net,
      weights,
      ...(isWritten ? { optimize: false, outputs: expected.map(([name]) => name) } : {}),
    });
    const results = await loaded.run({ data });
    for (const [name, { stride, offset, count }] of expected) {
      if (results[name] === undefined) continue;
      const actual = Float32Array.from({ length: count }, (_, i) => results[name]!.data[i * stride]!);
      const deviation = difference(actual, values.subarray(offset, offset + count), file.noise);
      checks.push({ name, layer: name, mode, pass: 0, ...deviation });
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
  return expectation(ok, { name, layer: name, mode: 'SHA-256', pass: 0 });
}
