/** The records of real Caffe as one list for every device: forward passes, layer by layer and fused; training. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../ts/index.ts';
import { checkCase } from '../../ts/tools/parity/check-case.ts';
import { readGoldenCase } from '../../ts/tools/parity/golden-case.ts';
import { goldenCases, readFloats, readJson } from './golden.ts';

interface Recorded {
  file: string;
  shape: number[];
  noise?: number;
}
interface Manifest {
  kind: string;
  phase: 'TRAIN' | 'TEST';
  level: number;
  stages: string[];
  weights: string | null;
  structure: { outputs: string[]; layers: { name: string; type: string; top: string[] }[] };
  passes: {
    inputs: Record<string, Recorded>;
    blobs?: Record<string, Recorded>;
    layers?: Record<string, Recorded[]>;
    params_after?: Record<string, Recorded[]>;
  }[];
}

/** The tolerance in the golden data's README: 20 × the recorded noise + 1e-6 of the array's maximum. */
function compare(actual: Float32Array, folder: string, recorded: Recorded, what: string): void {
  const expected = readFloats(join(folder, recorded.file));
  assert.is(actual.length, expected.length, what);
  const maximum = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const tolerance = 20 * (recorded.noise ?? 0) + 1e-6 * maximum;
  let worst = 0;
  for (let i = 0; i < expected.length; i++)
    worst = Math.max(worst, Object.is(actual[i], expected[i]) ? 0 : Math.abs(actual[i]! - expected[i]!));
  assert.ok(worst <= tolerance, `${what}: differs by ${worst}, tolerance ${tolerance}`);
}

/** Of the forks, only layers that are rewritten into others; `testForkCases` has the rest. */
const isNotBuilt = (folder: string) =>
  basename(dirname(folder)) === 'forks' && !/^(axpy|crelu|dwconv|hardswish|mish)/.test(basename(folder));

/**
 * Registers a test for every case on a device, in float32.
 * @param repeat How often a fused net runs before the comparison.
 */
export function testGoldenCases(device: Device, { repeat = 1 } = {}): void {
  for (const group of ['layers', 'rules', 'mini-resnet', 'layers2', 'nets2', 'forks']) {
    for (const folder of goldenCases(group)) {
      const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
      if (manifest.kind !== 'net' || isNotBuilt(folder)) continue;
      for (const optimize of [false, true]) {
        test(`${group}/${basename(folder)} on ${device.kind}, ${optimize ? 'as loaded' : 'layer by layer'}`, async () => {
          const blobs = Object.keys(manifest.passes.at(-1)!.blobs ?? {});
          const layerTops = Object.entries(manifest.passes.at(-1)!.layers ?? {}).flatMap(([name, tops]) => {
            const layer = manifest.structure.layers.find((each) => each.name === name)!;
            return tops.map((_, i) => `${layer.top[i]}@${name}`);
          });
          const outputs = optimize ? manifest.structure.outputs : [...blobs, ...layerTops];
          const weights = manifest.weights === null ? null : join(folder, manifest.weights);
          using model = await device.load({
            model: join(folder, 'net.prototxt'),
            outputs,
            phase: manifest.phase,
            level: manifest.level,
            stages: manifest.stages,
            // Fused means as loaded by default: a net in phase TRAIN keeps its layers separate (design decision 13).
            ...(optimize ? {} : { optimize: false }),
            ...(weights !== null && existsSync(weights) ? { weights } : {}),
          });
          const changes = manifest.passes.some((pass) => Object.keys(pass.params_after ?? {}).length > 0);
          // A recurrent net continues where its last run ended.
          const isRecurrent = manifest.structure.layers.some(({ type }) => type === 'LSTM' || type === 'RNN');
          const runs = optimize && manifest.phase === 'TEST' && !changes && !isRecurrent ? repeat : 1;
          for (const pass of manifest.passes) {
            const inputs = Object.fromEntries(
              Object.entries(pass.inputs).map(([name, { file }]) => [name, readFloats(join(folder, file))]),
            );
            let results = await model.run(inputs);
            // A device may compute the first run in another way than later ones.
            for (let i = 1; i < runs; i++) results = await model.run(inputs);
            for (const [name, recorded] of Object.entries(pass.blobs ?? {}))
              if (results[name] !== undefined) compare(results[name].data, folder, recorded, name);
            for (const [name, tops] of Object.entries(optimize ? {} : (pass.layers ?? {}))) {
              const layer = manifest.structure.layers.find((each) => each.name === name)!;
              tops.forEach((recorded, i) =>
                compare(
                  results[`${layer.top[i]}@${name}`]!.data,
                  folder,
                  recorded,
                  `${layer.top[i]}@${name}`,
                ),
              );
            }
            for (const [name, after] of Object.entries(pass.params_after ?? {})) {
              for (const [i, recorded] of after.entries()) {
                const values = await model.parameter(name, i);
                if (values !== null) compare(values, folder, recorded, `${name}, blob ${i} after the pass`);
              }
            }
          }
        });
      }
    }
  }
}

/**
 * Registers a test for every backward pass and every solver run on a device.
 * @param groups Of the golden data.
 * @param names Of their cases.
 */
export function testTrainingCases(
  device: Device,
  groups = ['layers', 'mini-resnet', 'solver', 'train', 'layers2', 'nets2', 'forks'],
  names = /./,
): void {
  for (const group of groups)
    for (const folder of goldenCases(group)) {
      if (isNotBuilt(folder) || !names.test(basename(folder))) continue;
      const golden = readGoldenCase(folder);
      const trains = golden.kind === 'solver' || (golden.kind === 'net' && golden.backward !== undefined);
      if (!trains) continue;
      test(`${group}/${basename(folder)} on ${device.kind}`, async () => {
        const { checks, firstDivergence, notChecked } = await checkCase(device, golden);
        const modes = new Set(checks.map(({ mode }) => mode));
        assert.equal(notChecked, []);
        assert.ok([...modes].some((mode) => /^(backward|training)/.test(mode)));
        assert.is(firstDivergence, null, JSON.stringify(firstDivergence));
      });
    }
}

/**
 * Registers a test for every case of a fork's layer: forward, fused and layer by layer, and backward if it has a
 * gradient.
 */
export function testForkCases(device: Device): void {
  for (const folder of goldenCases('forks')) {
    const name = basename(folder);
    test(`forks/${name} on ${device.kind}`, async () => {
      const { checks, firstDivergence, notChecked } = await checkCase(device, readGoldenCase(folder));
      assert.ok(checks.length > 0);
      assert.equal(notChecked, []);
      assert.is(firstDivergence, null, JSON.stringify(firstDivergence));
    });
  }
}
