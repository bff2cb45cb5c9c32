/**
 * How fast the CPU device trains convolutions: the forward pass and the gradients of data and weights, each timed
 * separately, on its own tiles and on oneDNN in turn, each twice. It is the table of docs/cpu-kernels.md. `tsx
 * bench/training-convolutions.ts [FILTER]`, where FILTER is part of a problem's name.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Device, type LayerParameter, openDevice } from '../ts/index.ts';
import { machineCeilings } from '../ts/tools/bench/ceilings.ts';

interface Problem {
  /** N, C, H, W. */
  readonly input: readonly [number, number, number, number];
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly group?: number;
  readonly dilation?: number;
}

const PROBLEMS: readonly Problem[] = [
  { input: [8, 3, 224, 224], outputs: 64, kernel: 7, stride: 2 },
  { input: [8, 64, 56, 56], outputs: 64, kernel: 1 },
  { input: [8, 64, 56, 56], outputs: 64, kernel: 3 },
  { input: [8, 64, 56, 56], outputs: 256, kernel: 1 },
  { input: [8, 256, 56, 56], outputs: 64, kernel: 1 },
  { input: [8, 256, 56, 56], outputs: 512, kernel: 1, stride: 2 },
  { input: [8, 128, 28, 28], outputs: 128, kernel: 3 },
  { input: [8, 128, 28, 28], outputs: 512, kernel: 1 },
  { input: [8, 512, 28, 28], outputs: 128, kernel: 1 },
  { input: [8, 256, 14, 14], outputs: 256, kernel: 3 },
  { input: [8, 256, 14, 14], outputs: 1024, kernel: 1 },
  { input: [8, 1024, 14, 14], outputs: 256, kernel: 1 },
  { input: [8, 1024, 14, 14], outputs: 2048, kernel: 1, stride: 2 },
  { input: [8, 512, 7, 7], outputs: 512, kernel: 3 },
  { input: [8, 512, 7, 7], outputs: 2048, kernel: 1 },
  { input: [128, 3, 32, 32], outputs: 16, kernel: 3 },
  { input: [128, 16, 32, 32], outputs: 16, kernel: 3 },
  { input: [128, 16, 32, 32], outputs: 32, kernel: 3, stride: 2 },
  { input: [128, 32, 16, 16], outputs: 32, kernel: 3 },
  { input: [128, 64, 8, 8], outputs: 64, kernel: 3 },
  { input: [8, 256, 28, 28], outputs: 256, kernel: 3, dilation: 2 },
  { input: [8, 128, 56, 56], outputs: 128, kernel: 3, group: 32 },
  { input: [8, 256, 28, 28], outputs: 256, kernel: 3, group: 32, stride: 2 },
  { input: [8, 1024, 7, 7], outputs: 1024, kernel: 3, group: 32 },
  { input: [8, 256, 28, 28], outputs: 256, kernel: 3, group: 256 },
  { input: [8, 256, 28, 28], outputs: 256, kernel: 3, group: 256, stride: 2 },
];

const nameOf = ({ input, outputs, kernel, stride = 1, group = 1, dilation = 1 }: Problem) =>
  `${input.join('×')} to ${outputs}, ${kernel}×${kernel}${stride > 1 ? `, stride ${stride}` : ''}${dilation > 1 ? `, dilation ${dilation}` : ''}${group > 1 ? `, ${group} groups` : ''}`;

/**
 * The convolution between two pointwise convolutions and a BatchNorm, which stand for the layouts of a surrounding net.
 * Which of them learn decides which passes are computed.
 */
function layersOf(problem: Problem, learns: { readonly before: boolean; readonly itself: boolean }) {
  const { input, outputs, kernel, stride = 1, group = 1, dilation = 1 } = problem;
  const isFirst = input[1] <= 4;
  const convolution = (
    name: string,
    bottom: string,
    isLearned: boolean,
    parameters: LayerParameter['convolution_param'],
  ): LayerParameter => ({
    name,
    type: 'Convolution',
    bottom: [bottom],
    top: [name],
    param: [{ lr_mult: isLearned ? 1 : 0 }],
    convolution_param: { bias_term: false, weight_filler: { type: 'msra' }, ...parameters },
  });
  const shape = isFirst ? input : [input[0], 16, input[2], input[3]];
  const source = {
    name: 'data',
    type: 'Input',
    top: ['data'],
    input_param: { shape: [{ dim: [...shape] }] },
  };
  const before = convolution('before', 'data', learns.before, { num_output: input[1], kernel_size: [1] });
  return [
    source,
    ...(isFirst ? [] : [before]),
    convolution('itself', isFirst ? 'data' : 'before', learns.itself, {
      num_output: outputs,
      kernel_size: [kernel],
      stride: [stride],
      group,
      dilation: [dilation],
      pad: [((kernel - 1) / 2) * dilation],
    }),
    // As in a ResNet; this allows Winograd's algorithm in the forward pass, too.
    { name: 'norm', type: 'BatchNorm', bottom: ['itself'], top: ['norm'] },
    convolution('after', 'norm', true, { num_output: 16, kernel_size: [1] }),
  ];
}

/** The fastest of several passes of the convolution, in milliseconds. */
async function measure(
  device: Device,
  problem: Problem,
  what: 'forward' | 'data' | 'weights',
): Promise<number> {
  const learns = { before: what === 'data', itself: what !== 'data' };
  using trainer = await device.train({ model: { layer: layersOf(problem, learns) }, update: null });
  const inputs = Object.fromEntries(
    Object.entries(trainer.inputs).map(([name, dims]) => [
      name,
      Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
    ]),
  );
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const operations = await trainer.time(inputs, { iteration: i, rate: 0 });
    const pass = what === 'forward' ? 'forward' : 'backward';
    times.push(
      operations
        .filter((each) => each.layer === 'itself' && each.pass === pass)
        .reduce((sum, { milliseconds }) => sum + milliseconds, 0),
    );
  }
  return Math.min(...times);
}

const PASSES = ['forward', 'data', 'weights'] as const;
const [filter = '', kernels] = process.argv.slice(2);
const wanted = PROBLEMS.filter((problem) => nameOf(problem).includes(filter));

/** Milliseconds by problem and pass. */
type Times = readonly (readonly number[])[];

async function measureAll(kernels: 'tiles' | 'oneDNN'): Promise<Times> {
  await using device = await openDevice('cpu', {
    threads: 2,
    ...(kernels === 'oneDNN' ? { kernels } : {}),
  });
  const all: number[][] = [];
  for (const problem of wanted) {
    const times: number[] = [];
    for (const pass of PASSES)
      times.push(pass === 'data' && problem.input[1] <= 4 ? 0 : await measure(device, problem, pass));
    all.push(times);
  }
  return all;
}

/** Runs in a separate process, because the threads of one kind disturb those of the other. */
function inProcess(kernels: string): Times {
  const words = ['--import', 'tsx', fileURLToPath(import.meta.url), filter, kernels];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' }));
}

const fewest = (a: Times, b: Times): Times =>
  a.map((row, i) => row.map((time, k) => Math.min(time, b[i]![k]!)));

if (kernels === 'tiles' || kernels === 'oneDNN') {
  console.log(JSON.stringify(await measureAll(kernels)));
} else {
  const { gflops } = await machineCeilings(2, 3);
  let [own, other] = [inProcess('tiles'), inProcess('oneDNN')];
  own = fewest(own, inProcess('tiles'));
  other = fewest(other, inProcess('oneDNN'));
  console.log(`GFLOP/s on 2 threads: ${gflops.toFixed(0)} of sgemm\n`);
  console.log('| problem | forward | gradient of the data | of the weights |\n|---|--:|--:|--:|');
  wanted.forEach((problem, i) => {
    const { input, outputs, kernel, stride = 1, group = 1 } = problem;
    const places = Math.ceil(input[2] / stride) * Math.ceil(input[3] / stride);
    const operations = (2 * input[0] * input[1] * outputs * kernel * kernel * places) / group;
    const cells = own[i]!.map((time, k) => {
      if (time === 0) return '';
      const speed = operations / time / 1e6;
      return `${speed.toFixed(0)}, ${((100 * speed) / gflops).toFixed(0)}%, ${(other[i]![k]! / time).toFixed(2)}`;
    });
    console.log(`| ${nameOf(problem)} | ${cells.join(' | ')} |`);
  });
}
