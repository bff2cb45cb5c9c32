/**
 * The errors of the CPU device's 3×3 convolutions, and of their gradients in training, compared with the reference
 * loops, which sum in float64, both with Winograd's algorithm and without: the tables of docs/cpu-kernels.md. `tsx
 * bench/winograd-error.ts`
 */
import { type Device, DeviceError, type LayerParameter, openDevice } from '../ts/index.ts';

const PROBLEMS = [
  [64, 56],
  [128, 28],
  [256, 14],
  [16, 32],
  [32, 16],
  [64, 8],
] as const;

const layers = (channels: number, size: number): LayerParameter[] => [
  {
    name: 'input',
    type: 'Input',
    top: ['data'],
    input_param: { shape: [{ dim: [2, channels, size, size] }] },
  },
  {
    name: 'conv',
    type: 'Convolution',
    bottom: ['data'],
    top: ['conv'],
    // He et al.'s initialisation, which gives results as large as the inputs.
    convolution_param: { num_output: channels, kernel_size: [3], pad: [1], weight_filler: { type: 'msra' } },
  },
];

async function compute(device: Device, channels: number, size: number): Promise<Float32Array> {
  await using model = await device.load({ model: { layer: layers(channels, size) } });
  // As after a ReLU: half of the values are 0.
  const data = Float32Array.from({ length: 2 * channels * size * size }, (_, i) =>
    Math.max(0, Math.sin(i * i)),
  );
  return (await model.run({ data })).conv!.data;
}

function errors(actual: Float32Array, exact: Float32Array): { largest: number; rms: number } {
  let [most, worst, squares] = [0, 0, 0];
  exact.forEach((value, i) => {
    const error = Math.abs(actual[i]! - value);
    most = Math.max(most, Math.abs(value));
    worst = Math.max(worst, error);
    squares += error * error;
  });
  return { largest: worst / most, rms: Math.sqrt(squares / exact.length) / most };
}

await using reference = await openDevice('reference');
console.log('| kernels | problem | Winograd: largest, rms | direct: largest, rms |\n|---|---|---|---|');
for (const kernels of ['AVX-512', 'AVX2', 'oneDNN'] as const) {
  for (const [channels, size] of PROBLEMS) {
    const exact = await compute(reference, channels, size);
    const cells: string[] = [];
    for (const winograd of [true, false]) {
      try {
        await using device = await openDevice('cpu', { kernels, winograd, tune: false });
        const { largest, rms } = errors(await compute(device, channels, size), exact);
        cells.push(`${largest.toExponential(1)}, ${rms.toExponential(1)}`);
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
        cells.push('not on this processor');
      }
    }
    console.log(`| ${kernels} | 3×3, ${channels} channels at ${size}×${size} | ${cells.join(' | ')} |`);
  }
}

/** The diffs of the data and the weights; the forward pass uses the same algorithm as above. */
async function gradients(device: Device, channels: number, size: number): Promise<Float32Array[]> {
  const layer = layers(channels, size);
  using trainer = await device.train({ model: { layer }, update: null, diffs: ['data'] });
  const wave = (shape: readonly number[], of: (i: number) => number) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => of(i));
  const { blobs, parameters } = await trainer.gradients(
    { data: wave(trainer.inputs.data!, (i) => Math.max(0, Math.sin(i * i))) },
    { topDiffs: { conv: wave(trainer.outputs.conv!, (i) => Math.sin(i * i + 1)) } },
  );
  return [blobs.data!, parameters[0]!].map(({ data }) => data);
}

console.log('\n| problem, in training | diff of the data | of the weights |\n|---|---|---|');
for (const [channels, size] of PROBLEMS) {
  const exact = await gradients(reference, channels, size);
  const cells: string[][] = exact.map(() => []);
  for (const winograd of [true, false]) {
    await using device = await openDevice('cpu', { winograd });
    (await gradients(device, channels, size)).forEach((actual, i) => {
      const { largest, rms } = errors(actual, exact[i]!);
      cells[i]!.push(`${largest.toExponential(1)}, ${rms.toExponential(1)}`);
    });
  }
  console.log(
    `| 3×3, ${channels} channels at ${size}×${size} | ${cells.map((each) => each.join('; ')).join(' | ')} |`,
  );
}
