/**
 * A depthwise convolution is fused with the pointwise one that is its only reader, and gives the same bits as separate
 * ones.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { type Device, type LayerParameter, openDevice } from '../../ts/index.ts';
import { unfused } from '../../ts/layers/operation.ts';
import type { NativePlanOptions } from '../../ts/native/binding.ts';
import type { Program, TensorId } from '../../ts/operations/program.ts';
import { openAllKernels } from '../support/open-kernels.ts';
import { openNative, ProgramWriter } from '../support/run-program.ts';

const reference = await openDevice('reference');
const own = await openAllKernels({ winograd: false, tune: false });
test.after(() => [reference, ...own].forEach((device) => device.dispose()));

interface Case {
  readonly input: readonly [number, number, number, number];
  readonly channels: number;
  readonly outputs: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly dilation?: number;
  readonly bias?: boolean;
  /** The slope of the ReLU after the depthwise convolution; null: there is none. */
  readonly slope?: number | null;
  /** The slope of the ReLU after the pointwise convolution. Default: the same as after the depthwise one. */
  readonly lastSlope?: number | null;
  /** What is added to the pointwise result: the depthwise convolution's input, or another convolution's result. */
  readonly residual?: 'source' | 'other';
}

const convolution = (
  name: string,
  bottom: string,
  outputs: number,
  param: LayerParameter['convolution_param'] = {},
): LayerParameter => ({
  name,
  type: 'Convolution',
  bottom: [bottom],
  top: [name],
  convolution_param: {
    num_output: outputs,
    kernel_size: [1],
    weight_filler: { type: 'gaussian', std: 0.5 },
    bias_filler: { type: 'gaussian', std: 0.5 },
    ...param,
  },
});

function layersOf({
  input,
  channels,
  outputs,
  kernel = 3,
  stride = 1,
  pad = 1,
  dilation = 1,
  bias = true,
  slope = 0,
  lastSlope = slope,
  residual,
}: Case): LayerParameter[] {
  const shape = { dim: [...input] };
  const relu = (blob: string, slope: number | null): LayerParameter[] =>
    slope === null
      ? []
      : [
          {
            name: `${blob}_relu`,
            type: 'ReLU',
            bottom: [blob],
            top: [blob],
            relu_param: { negative_slope: slope },
          },
        ];
  const places = { kernel_size: [kernel], stride: [stride], pad: [pad], dilation: [dilation] };
  const layers = [
    { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [shape] } },
    convolution('source', 'data', channels),
    ...(residual === 'other' ? [convolution('other', 'source', outputs, { stride: [stride] })] : []),
    convolution('depthwise', 'source', channels, { ...places, group: channels, bias_term: bias }),
    ...relu('depthwise', slope),
    convolution('pointwise', 'depthwise', outputs, { bias_term: bias }),
  ];
  if (residual === undefined) return [...layers, ...relu('pointwise', lastSlope)];
  const sum = { name: 'sum', type: 'Eltwise', bottom: [residual, 'pointwise'], top: ['sum'] };
  return [...layers, sum, ...relu('sum', lastSlope)];
}

async function compute(device: Device, layers: LayerParameter[], outputs?: string[]) {
  await using model = await device.load({
    model: { layer: layers },
    ...(outputs === undefined ? {} : { outputs }),
  });
  const [shape] = Object.values(model.inputs);
  const data = Float32Array.from({ length: elementCount(shape!) }, (_, i) => Math.sin(i * i));
  const results = await model.run({ data });
  const implementation = (name: string) =>
    model.plan().operations.find(({ layer }) => layer === name)!.implementation;
  const last = layers.flatMap(({ top }) => top ?? []).at(-1)!;
  return { values: results[last]!.data, implementation };
}

const CASES: Readonly<Record<string, Case>> = {
  'as in MobileNets': { input: [1, 5, 16, 17], channels: 32, outputs: 64 },
  'stride 2, channels that fill no block': {
    input: [1, 5, 41, 37],
    channels: 40,
    outputs: 41,
    stride: 2,
    slope: 0.1,
  },
  'three images, without biases': { input: [3, 5, 9, 14], channels: 24, outputs: 72, bias: false },
  'a kernel of 5×5': { input: [1, 5, 19, 15], channels: 16, outputs: 32, kernel: 5, pad: 2 },
  'dilation 2, without ReLUs': {
    input: [1, 5, 20, 13],
    channels: 48,
    outputs: 24,
    dilation: 2,
    pad: 2,
    slope: null,
  },
  'as in MobileNetV2, no ReLU behind the pointwise one': {
    input: [1, 5, 16, 17],
    channels: 32,
    outputs: 24,
    lastSlope: null,
  },
  'what the depthwise one reads is added': {
    input: [1, 5, 33, 31],
    channels: 48,
    outputs: 48,
    residual: 'source',
  },
  'another result is added': {
    input: [1, 5, 38, 38],
    channels: 32,
    outputs: 48,
    stride: 2,
    residual: 'other',
  },
};

for (const [name, each] of Object.entries(CASES)) {
  test(`${name}: as the reference, and with the bits of separate convolutions`, async () => {
    const layers = layersOf(each);
    const { values: expected } = await compute(reference, layers);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const last = layers.flatMap(({ top }) => top ?? []).at(-1)!;
    for (const device of own) {
      const together = await compute(device, layers);
      assert.match(together.implementation('depthwise'), /^depthwise .*, computed in "pointwise"$/);
      assert.match(together.implementation('pointwise'), /^direct .*, with "depthwise"$/);
      const apart = await compute(device, layers, ['depthwise', last]);
      assert.not.match(apart.implementation('depthwise'), /computed in/);
      assert.is(
        together.values.findIndex((value, i) => !Object.is(value, apart.values[i])),
        -1,
      );
      const worst = expected.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - together.values[i]!)),
        0,
      );
      assert.ok(worst <= 1e-5 * largest, `differs by ${worst} of ${largest}`);
    }
  });
}

test('they stay separate if others read the result, if the next one is not pointwise, or if there are few pixels', async () => {
  const [source, ...rest] = layersOf({ input: [1, 5, 16, 17], channels: 32, outputs: 32 });
  const nets: Record<string, LayerParameter[]> = {
    'another reader': [
      source!,
      ...rest,
      { name: 'sum', type: 'Eltwise', bottom: ['depthwise', 'pointwise'], top: ['sum'] },
    ],
    'a kernel of 3×3': [
      source!,
      ...rest.map((layer) =>
        layer.name === 'pointwise'
          ? convolution('pointwise', 'depthwise', 32, { kernel_size: [3], pad: [1] })
          : layer,
      ),
    ],
    'another reader, which comes first': [
      source!,
      ...rest.flatMap((layer) =>
        layer.name === 'pointwise'
          ? [{ name: 'power', type: 'Power', bottom: ['depthwise'], top: ['power'] }, layer]
          : [layer],
      ),
    ],
    'added to a pointwise one': [
      source!,
      ...rest.filter(({ name }) => !name!.startsWith('pointwise')),
      convolution('other', 'source', 32),
      { name: 'sum', type: 'Eltwise', bottom: ['depthwise', 'other'], top: ['sum'] },
    ],
    'two results a channel': [
      source!,
      ...rest.map((layer) =>
        layer.name === 'depthwise'
          ? convolution('depthwise', 'source', 64, { kernel_size: [3], pad: [1], group: 32 })
          : layer,
      ),
    ],
    'few pixels': layersOf({ input: [1, 5, 5, 5], channels: 32, outputs: 32 }),
  };
  for (const [name, layers] of Object.entries(nets)) {
    const { values: expected } = await compute(reference, layers);
    for (const device of own) {
      const { values, implementation } = await compute(device, layers);
      assert.not.match(implementation('depthwise'), /computed in/, name);
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
      assert.ok(worst <= 1e-4, `${name}: differs by ${worst}`);
    }
  }
});

/** A pointwise convolution (operation 0), a depthwise one (1) and a pointwise one (2), of 32 channels. */
function programOf(mutable: readonly string[] = []): Program {
  const writer = new ProgramWriter();
  const shape = [1, 32, 24, 24] as const;
  const convolve = (name: string, x: TensorId, kernel: number, group: number) => {
    const parameter = (kind: string, ...dims: number[]) =>
      writer.parameter(dims, { mutable: mutable.includes(`${name} ${kind}`) });
    const y = writer.tensor(...shape);
    writer.operation([x], [y], {
      kind: 'convolution',
      weights: parameter('weights', 32, 32 / group, kernel, kernel),
      bias: parameter('bias', 32),
      kernel: [kernel, kernel],
      stride: [1, 1],
      pad: [(kernel - 1) / 2, (kernel - 1) / 2],
      dilation: [1, 1],
      group,
      ...unfused,
    });
    return y;
  };
  const source = convolve('source', writer.input(shape), 1, 1);
  return writer.program([convolve('pointwise', convolve('depthwise', source, 3, 32), 1, 1)]);
}

test('they stay separate if weights or a bias learn, or if the pointwise one reads integers', async () => {
  const device = openNative('cpu');
  const options = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;
  const isTogether = async (program: Program, more: Partial<NativePlanOptions> = {}) => {
    const plan = await device.prepare(program, { ...options, ...more });
    const { implementations } = plan;
    plan.dispose();
    return implementations[1]!.includes('computed in');
  };
  assert.is(await isTogether(programOf()), true);
  for (const learns of ['depthwise weights', 'depthwise bias', 'pointwise weights', 'pointwise bias'])
    assert.is(await isTogether(programOf([learns])), false, learns);
  const ranges = {
    tensors: Float32Array.of(0, 8, 8),
    parameters: [null, new Float32Array(32).fill(1), null],
  };
  assert.is(await isTogether(programOf(), { precision: 'int8', quantization: ranges }), false);
  device.dispose();
});

test('an infinity stays one for the next convolution, and is no NaN from the lanes beyond the last channel', async () => {
  const layers = [
    ...layersOf({ input: [1, 5, 16, 17], channels: 32, outputs: 41, slope: null }),
    convolution('last', 'pointwise', 8),
  ].map((layer) =>
    layer.type === 'Convolution'
      ? {
          ...layer,
          convolution_param: { ...layer.convolution_param, weight_filler: { type: 'constant', value: 0.1 } },
        }
      : layer,
  );
  for (const device of own) {
    await using model = await device.load({ model: { layer: layers } });
    const { last } = await model.run({ data: new Float32Array(5 * 16 * 17).fill(1).fill(Infinity, 0, 1) });
    assert.is(last!.data[0], Infinity);
    assert.ok(Number.isFinite(last!.data[16 * 17 - 1]));
  }
});

test.run();
