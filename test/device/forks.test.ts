/** Layers of Caffe's forks: what their own code made, forward and backward, and what they refuse. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, PrototxtError } from '../../ts/base/errors.ts';
import { type Device, openDevice, readNet } from '../../ts/index.ts';
import { goldenFolder, readJson } from '../support/golden.ts';
import { testForkCases } from '../support/golden-cases.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(await openDevice('cpu', { threads: 2 }));
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}
for (const device of devices) testForkCases(device);

const malformed = join(goldenFolder() ?? '', 'forks-malformed');
if (existsSync(malformed)) {
  const { cases } = readJson<{
    cases: { file: string; stage: string; ok: boolean; inputs?: Record<string, number[]> }[];
  }>(join(malformed, 'index.json'));
  for (const { file, stage, inputs } of cases) {
    // OpenCV's field, which its nets need: SSD's own parser does not know it.
    if (file === 'det_clip.prototxt') continue;
    const model = join(malformed, file);
    test(`${file} is refused with its place, or the value that is wrong`, async () => {
      const [device] = devices as [Device];
      const run = async () => {
        using net = await device.load({ model });
        const given = Object.entries(net.inputs).map(([name, shape]) => {
          const flat = ((inputs?.[name] ?? []) as unknown[]).flat(8) as number[];
          const count = shape.reduce((product, size) => product * size, 1);
          return [name, Float32Array.from({ length: count }, (_, i) => flat[i] ?? 0)];
        });
        await net.run(Object.fromEntries(given));
      };
      try {
        await run();
      } catch (error) {
        const { message, code } = error as GraphError;
        if (stage === 'forward' && inputs !== undefined) assert.is(code, 'label/invalid', message);
        else {
          assert.ok(error instanceof GraphError || error instanceof PrototxtError, message);
          assert.match(message, new RegExp(`${basename(file)}:\\d+:\\d+: `));
        }
        return;
      }
      assert.unreachable('it was accepted');
    });
  }
}

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;
const load = (text: string) => devices[0]!.load({ model: readNet(text, { file: 'net.prototxt' }) });

test('a detection output has as many rows as there are detections, whatever the most is', async () => {
  const text = `${input('loc', 1, 8)}${input('conf', 1, 4)}${input('prior', 1, 2, 8)}
    layer { name: "det" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "det"
      detection_output_param { num_classes: 2 confidence_threshold: 0.5 keep_top_k: 200 code_type: CENTER_SIZE } }`;
  using net = await load(text);
  const prior = [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, ...Array.from({ length: 8 }, () => 0.1)];
  const run = async (...conf: number[]) =>
    (
      await net.run({
        loc: new Float32Array(8),
        conf: Float32Array.from(conf),
        prior: Float32Array.from(prior),
      })
    ).det!;
  const two = await run(0.1, 0.9, 0.3, 0.7);
  assert.equal(two.shape, [1, 1, 2, 7]);
  assert.equal([...two.data].slice(3, 7), [0, 0, 0.5, 0.5]);
  assert.equal((await run(0.9, 0.1, 0.3, 0.7)).shape, [1, 1, 1, 7]);
  const none = await run(0.9, 0.1, 0.7, 0.3);
  assert.equal([...none.data], [0, -1, -1, -1, -1, -1, -1]);
});

test('two layers of one name are told apart by what is written, and a mixture is refused', async () => {
  const bn = (param: string) =>
    load(
      `${input('x', 1, 2, 3, 3)}layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { ${param} } }`,
    );
  using segnet = await bn('bn_mode: INFERENCE');
  assert.is(segnet.report.length, 1);
  using pspnet = await bn('frozen: true');
  assert.is(pspnet.report.length, 1);
  try {
    await bn('bn_mode: INFERENCE slope_filler { type: "constant" }');
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.is((error as GraphError).code, 'graph/bn');
    assert.match((error as GraphError).message, /bn_mode is of SegNet's BN, slope_filler of PSPNet's/);
  }
});

test('depthwise convolutions of both names are grouped convolutions', async () => {
  for (const [type, group] of [
    ['DepthwiseConvolution', 'group: 3'],
    ['ConvolutionDepthwise', ''],
  ]) {
    using net = await load(
      `${input('x', 1, 3, 4, 4)}layer { name: "dw" type: "${type}" bottom: "x" top: "y" convolution_param { num_output: 3 kernel_size: 3 pad: 1 ${group} weight_filler { type: "xavier" } } }`,
    );
    assert.is((await net.parameter('dw', 0))!.length, 27, type);
  }
});

test('CReLU is the ReLU of x and of −x, and Upsample without a mask repeats', async () => {
  using net = await load(`${input('x', 1, 1, 1, 2)}
    layer { name: "c" type: "CReLU" bottom: "x" top: "c" }
    layer { name: "u" type: "Upsample" bottom: "c" top: "u" upsample_param { scale: 2 } }`);
  const { u } = await net.run({ x: Float32Array.of(1, -2) });
  assert.equal(u!.shape, [1, 2, 2, 4]);
  assert.equal([...u!.data], [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2]);
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
