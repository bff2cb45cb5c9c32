/**
 * Winograd's algorithm for 3×3 convolutions in int8 gives the bits of direct convolutions, for random shapes with
 * different padding on each side and residuals of each type, and for the weights and pixels with the largest
 * transformed values.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import type { Device, LayerParameter } from '../../ts/index.ts';
import { hasMatrices, openAllKernels } from '../support/open-kernels.ts';

const CASES = 48;
const own = (await openAllKernels({ tune: false })).filter((device) => !hasMatrices(device));
const direct = await openAllKernels({ winograd: false });
test.after(() => [...own, ...direct].forEach((device) => device.dispose()));

const RESIDUALS = ['none', 'signed', 'unsigned', 'float32'] as const;
/** The signs in a row of G or Bᵀ: pixels with these signs add up in a transformed value. */
const SIGNS = [
  [1, 1, 1],
  [1, -1, 1],
];

function drawn(seed: number) {
  const next = seededRandom(seed);
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const residual = RESIDUALS[whole(0, 3)]!;
  // With a residual, the result has the source's size.
  const both = residual === 'none' ? null : 2;
  const [top, left] = [whole(0, both ?? 3), whole(0, both ?? 3)];
  const [bottom, right] = both === null ? [whole(0, 3), whole(0, 3)] : [both - top, both - left];
  return {
    next,
    input: [whole(1, 4), whole(16, 70), whole(3, 15), whole(3, 15)] as const,
    outputs: whole(3, 70),
    /** Above, left, below, right. */
    pads: [top, left, bottom, right] as const,
    residual,
    signed: next() < 0.5,
    relu: next() < 0.5,
    made: next() < 0.5,
    // Weights and pixels: random values, or the largest values with random signs, equal signs, or the signs of a
    // pattern.
    kind: whole(0, 3),
  };
}
type Case = ReturnType<typeof drawn>;

function netOf({ next, input, outputs, pads, residual, signed, relu, made, kind }: Case) {
  const channels = input[1];
  const random = (count: number, scale: number) =>
    Float32Array.from({ length: count }, () => scale * (2 * next() - 1));
  const signs = SIGNS[Math.floor(next() * 2)]!;
  const largest = (at: number) =>
    kind === 1 ? Math.sign(next() - 0.5) : kind === 2 ? 1 : signs[at % 3]! * signs[Math.floor(at / 3) % 3]!;
  const conv = (name: string, bottom: string, count: number, kernel = 1, more = {}): LayerParameter => ({
    name,
    type: 'Convolution',
    bottom: [bottom],
    top: [name],
    convolution_param: { num_output: count, kernel_size: [kernel], ...more },
  });
  const reluOver = (blob: string): LayerParameter => ({
    name: `${blob}_relu`,
    type: 'ReLU',
    bottom: [blob],
    top: [blob],
  });
  const [pad_t, pad_l, pad_b, pad_r] = pads;
  const result = residual === 'none' ? 'conv' : 'sum';
  const layer: LayerParameter[] = [
    { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [...input] }] } },
    conv('source', 'in', channels),
    ...(signed ? [] : [reluOver('source')]),
    ...(residual === 'none' ? [] : [conv('other', 'in', outputs)]),
    ...(residual === 'unsigned' ? [reluOver('other')] : []),
    conv('conv', 'source', outputs, 3, { pad_t, pad_l, pad_b, pad_r }),
    ...(residual === 'none'
      ? []
      : [{ name: 'sum', type: 'Eltwise', bottom: ['other', 'conv'], top: ['sum'] }]),
    ...(relu ? [reluOver(result)] : []),
    ...(made ? [conv('last', result, 4)] : []),
  ];
  const identity = Float32Array.from({ length: channels ** 2 }, (_, i) => Number(i % (channels + 1) === 0));
  const count = outputs * channels * 9;
  const blobs = {
    source: [
      blobFromFloats([channels, channels, 1, 1], identity),
      blobFromFloats([channels], random(channels, 0)),
    ],
    other: [
      blobFromFloats([outputs, channels, 1, 1], random(outputs * channels, 0.2)),
      blobFromFloats([outputs], random(outputs, 1)),
    ],
    conv: [
      blobFromFloats(
        [outputs, channels, 3, 3],
        kind === 0 ? random(count, 1) : Float32Array.from({ length: count }, (_, i) => largest(i)),
      ),
      blobFromFloats([outputs], random(outputs, 2)),
    ],
    last: [blobFromFloats([4, outputs, 1, 1], random(4 * outputs, 1)), blobFromFloats([4], random(4, 1))],
  };
  const ranges = {
    [signed ? 'source@source' : 'source@source_relu']: 0.8,
    ...(residual === 'signed' && { 'other@other': 0.9 }),
    ...(residual === 'unsigned' && { 'other@other_relu': 0.9 }),
    ...(made && { [`${result}@${relu ? `${result}_relu` : result}`]: 20 }),
  };
  const pixels = input.reduce((product, size) => product * size, 1);
  return {
    model: { layer },
    weights: {
      file: 'made up',
      name: '',
      layers: Object.entries(blobs).map(([name, list]) => ({ name, type: 'Convolution', blobs: list })),
    },
    calibration: calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges }),
    data:
      kind === 0
        ? random(pixels, 1)
        : Float32Array.from({ length: pixels }, (_, i) => 5 * largest(i % input[3])),
  };
}

async function run(device: Device, { data, ...net }: ReturnType<typeof netOf>, means: RegExp) {
  await using model = await device.load({ ...net, precision: 'int8' });
  const { arenaBytes, workspaceBytes, operations } = model.plan();
  const { activations, workspace } = device.memory();
  assert.equal([activations, workspace], [arenaBytes, workspaceBytes]);
  assert.match(operations.find(({ layer }) => layer === 'conv' || layer === 'sum')!.implementation, means);
  return Object.values(await model.run({ in: data }))[0]!.data;
}

if (own.length > 0)
  for (let seed = 1; seed <= CASES; seed++) {
    const { next: _, ...shown } = drawn(seed);
    test(`the bits of a direct convolution: ${JSON.stringify(shown)}`, async () => {
      const net = netOf(drawn(seed));
      const expected = await run(direct[seed % direct.length]!, net, /^int8 direct /);
      for (const device of [own[seed % own.length]!, own[(seed + 1) % own.length]!]) {
        const found = await run(device, net, /^int8 Winograd 4×4 /);
        const wrong = expected.findIndex((value, i) => value !== found[i]);
        const { kernels, threads } = device.description;
        assert.is(wrong, -1, `${kernels}, ${threads} threads: ${found[wrong]}, expected ${expected[wrong]}`);
      }
    });
  }

test.run();
