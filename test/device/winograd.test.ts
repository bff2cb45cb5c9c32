/**
 * Winograd's algorithms on the CPU: where they are used, their error against the reference, and how to disable them.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { ArgumentError, type LayerParameter, openDevice, printPrototxt } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';

const layer = (
  inputs: number,
  outputs: number,
  size: number,
  { dilation = 1, pad = dilation }: { dilation?: number; pad?: number } = {},
): LayerParameter[] => [
  {
    name: 'input',
    type: 'Input',
    top: ['data'],
    input_param: { shape: [{ dim: [2, inputs, size, size] }] },
  },
  {
    name: 'conv',
    type: 'Convolution',
    bottom: ['data'],
    top: ['conv'],
    convolution_param: {
      num_output: outputs,
      kernel_size: [3],
      pad: [pad],
      dilation: [dilation],
      weight_filler: { type: 'gaussian', std: 0.1 },
      bias_filler: { type: 'gaussian', std: 1 },
    },
  },
];

async function compute(kind: 'cpu' | 'reference', winograd: boolean, net: LayerParameter[], threads = 0) {
  await using device = await openDevice(kind, { winograd, tune: false, ...(threads > 0 ? { threads } : {}) });
  await using model = await device.load({ model: { layer: net } });
  const [shape] = Object.values(model.inputs);
  const data = Float32Array.from({ length: elementCount(shape!) }, (_, i) => Math.sin(i * i));
  const { conv } = await model.run({ data });
  return { values: conv!.data, implementation: model.plan().operations[0]!.implementation };
}

test('a 3×3 convolution by Winograd is within 3e-6 of the largest value, and can be disabled', async () => {
  for (const [inputs, outputs, size] of [
    [16, 16, 28],
    [64, 64, 56],
    [256, 256, 14],
    [20, 33, 9],
  ] as const) {
    const net = layer(inputs, outputs, size);
    const exact = (await compute('reference', true, net)).values;
    const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const winograd of [true, false]) {
      const { values, implementation } = await compute('cpu', winograd, net);
      const error = values.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!)), 0);
      const what = `${inputs}→${outputs} at ${size}×${size}, ${implementation}: ${error / largest}`;
      assert.ok(error / largest < 3e-6, what);
      if (!winograd) assert.not.match(implementation, /wino/i);
      else if (!/wino/i.test(implementation)) console.log(`skipped: no Winograd here for ${what}`);
      if (process.argv.includes('--print')) console.log(what);
    }
  }
});

test('few tiles, whose channels the threads share, even if the division leaves a remainder', async () => {
  for (const [outputs, threads] of [
    [80, 4],
    [144, 6],
  ] as const) {
    const net = layer(20, outputs, 9);
    const exact = (await compute('reference', true, net)).values;
    const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const { values, implementation } = await compute('cpu', true, net, threads);
    const error = values.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!)), 0);
    const what = `20→${outputs} on ${threads} threads, ${implementation}: ${error / largest}`;
    assert.ok(error / largest < 3e-6, what);
    if (!/wino/i.test(implementation)) console.log(`skipped: no Winograd here for ${what}`);
  }
});

test('a dilated convolution by Winograd is as accurate, for any padding and plane size', async () => {
  for (const [inputs, outputs, size, dilation, pad] of [
    [64, 48, 17, 2, 2],
    [32, 20, 23, 3, 1],
    [16, 33, 9, 4, 7],
    [16, 16, 13, 5, 0],
    [32, 16, 7, 12, 12],
  ] as const) {
    const net = layer(inputs, outputs, size, { dilation, pad });
    const exact = (await compute('reference', true, net)).values;
    const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const { values, implementation } = await compute('cpu', true, net);
    const error = values.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!)), 0);
    const what = `dilation ${dilation}, padding ${pad}, ${implementation}: ${error / largest}`;
    assert.ok(error / largest < 3e-6, what);
    if (!/wino/i.test(implementation)) console.log(`skipped: no Winograd here for ${what}`);
  }
});

test('it is not used for few channels, whose transforms cost too much, and for many, whose weights grow, only with many pixels', async () => {
  const implementation = async (inputs: number, outputs: number, size: number) =>
    (await compute('cpu', true, layer(inputs, outputs, size))).implementation;
  assert.not.match(await implementation(3, 64, 7), /wino/i);
  assert.not.match(await implementation(512, 512, 7), /wino/i);
  const many = await implementation(400, 400, 23);
  if (!/wino/i.test(many)) console.log(`skipped: no Winograd here, ${many}`);
});

test('--no-winograd disables it on the command line, forward and backward', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-winograd-'));
  try {
    const model = join(folder, 'net.prototxt');
    const loss = { name: 'loss', type: 'Reduction', bottom: ['conv'], top: ['loss'], loss_weight: [1] };
    writeFileSync(model, printPrototxt({ layer: [...layer(64, 64, 56), loss] }));
    const timed = (...words: string[]) => {
      const base = ['time', '--model', model, '--iterations', '1', '--device', 'cpu', '--no-tune', '--json'];
      const { stdout, stderr } = spawnSync(process.execPath, [...COMMAND, ...base, ...words], {
        encoding: 'utf8',
      });
      assert.match(stdout, /"implementation"/, stderr);
      return stdout;
    };
    const [forward, training] = [timed(), timed('--backward')];
    for (const off of [timed('--no-winograd'), timed('--backward', '--no-winograd')])
      assert.not.match(off, /wino/i);
    for (const on of [forward, training])
      if (!/wino/i.test(on)) console.log(`skipped: no Winograd here, ${on}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a plan names which of a convolution's diffs use Winograd: for planes of 3×20 and 5×22, the data's", async () => {
  await using device = await openDevice('cpu');
  const named = async (pad: number, data: boolean) => {
    const layers = layer(64, 64, 0, { pad });
    const input = { ...layers[0]!, input_param: { shape: [{ dim: [8, 64, 5, 22] }] } };
    const first = { name: 'first', type: 'Convolution', bottom: ['data'], top: ['first'] };
    const before = data ? [{ ...first, convolution_param: { num_output: 64, kernel_size: [1] } }] : [];
    const conv = { ...layers[1]!, bottom: [data ? 'first' : 'data'] };
    const loss = { name: 'loss', type: 'Reduction', bottom: ['conv'], top: ['loss'], loss_weight: [1] };
    const { operations } = await device.planTraining({
      model: { layer: [input, ...before, conv, loss] },
      update: SGD_UPDATE,
    });
    // Forward, then backward.
    return operations.filter((each) => each.layer === 'conv').at(-1)!.implementation;
  };
  const both = await named(1, true);
  if (!/Winograd/.test(both)) return console.log(`skipped: no Winograd here, ${both}`);
  assert.match(both, /Winograd 4×4$/);
  assert.match(await named(0, true), /Winograd 4×4 of data$/);
  assert.not.match(await named(0, false), /Winograd/);
});

test('the option takes true or false', async () => {
  const refused = await openDevice('cpu', { winograd: 1 as unknown as boolean }).catch((error) => error);
  assert.instance(refused, ArgumentError);
});

test.run();
