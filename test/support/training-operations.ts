/**
 * Training operations as programs of a few operations, in shapes that the golden cases lack: a list for every device.
 */
import { elementCount } from '../../ts/base/shape.ts';
import { unfused } from '../../ts/layers/operation.ts';
import type { OperationAttributes } from '../../ts/operations/operations.ts';
import type { TensorId } from '../../ts/operations/program.ts';
import { noise, ProgramWriter, type runProgram } from './run-program.ts';

export interface TrainingOperation {
  readonly name: string;
  /** Writes the same program at each call. */
  readonly write: () => [ProgramWriter, TensorId[]];
  /** Relative to the largest value of each array. */
  readonly tolerance: number;
  readonly options?: Parameters<typeof runProgram>[3];
}

export const trainingOperations: TrainingOperation[] = [];

interface Convolution {
  n: number;
  c: number;
  h: number;
  w: number;
  outputs: number;
  kernel: number;
  stride?: number;
  pad?: number;
  group?: number;
  dilation?: number;
  bias?: boolean;
  relu?: number;
  wanted?: readonly ('dx' | 'dw' | 'db')[];
}

/** Adds a convolution of `x`; its weights are learned if `mutable`. */
function convolve(writer: ProgramWriter, x: TensorId, problem: Convolution, mutable = true) {
  const {
    n,
    c,
    h,
    w,
    outputs,
    kernel,
    stride = 1,
    pad = 0,
    group = 1,
    dilation = 1,
    bias = false,
    relu,
  } = problem;
  const size = (length: number) => Math.floor((length + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1;
  const shape = [n, outputs, size(h), size(w)];
  const y = writer.tensor(...shape);
  const weights = [outputs, c / group, kernel, kernel];
  const of = writer.operation([x], [y], {
    kind: 'convolution',
    weights: writer.parameter(weights, { mutable }),
    bias: bias ? writer.parameter([outputs], { mutable }) : null,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    pad: [pad, pad],
    dilation: [dilation, dilation],
    group,
    ...unfused,
    relu: relu === undefined ? null : { negativeSlope: relu },
  });
  return { y, shape, weights, of };
}

const convolutions: Convolution[] = [
  { n: 1, c: 3, h: 9, w: 7, outputs: 5, kernel: 3, stride: 2, pad: 1, bias: true },
  { n: 2, c: 3, h: 23, w: 23, outputs: 16, kernel: 7, stride: 2, pad: 3, bias: true, wanted: ['dw', 'db'] },
  { n: 2, c: 17, h: 5, w: 6, outputs: 19, kernel: 1 },
  { n: 1, c: 32, h: 14, w: 14, outputs: 64, kernel: 1, stride: 2, bias: true },
  { n: 2, c: 8, h: 6, w: 6, outputs: 12, kernel: 3, pad: 1, group: 4, bias: true },
  { n: 2, c: 32, h: 7, w: 7, outputs: 32, kernel: 3, pad: 1, group: 2 },
  { n: 2, c: 16, h: 6, w: 5, outputs: 16, kernel: 3, pad: 1, group: 16 },
  { n: 1, c: 6, h: 9, w: 9, outputs: 4, kernel: 3, pad: 2, dilation: 2 },
  { n: 3, c: 64, h: 7, w: 7, outputs: 48, kernel: 3, stride: 2, pad: 1 },
  { n: 2, c: 16, h: 8, w: 8, outputs: 16, kernel: 3, pad: 1 },
  { n: 1, c: 64, h: 7, w: 7, outputs: 64, kernel: 3, pad: 1, bias: true },
  { n: 2, c: 20, h: 9, w: 11, outputs: 33, kernel: 3, pad: 1 },
  { n: 2, c: 20, h: 9, w: 11, outputs: 33, kernel: 3, pad: 1, relu: 0.1 },
  { n: 2, c: 3, h: 9, w: 9, outputs: 5, kernel: 3, stride: 2, bias: true, relu: 0 },
  { n: 2, c: 16, h: 8, w: 8, outputs: 16, kernel: 3, pad: 1, wanted: ['dx'] },
  { n: 2, c: 16, h: 8, w: 8, outputs: 16, kernel: 3, pad: 1, bias: true, wanted: ['db'] },
];
for (const problem of convolutions) {
  for (const mutable of [true, false]) {
    const write = (): [ProgramWriter, TensorId[]] => {
      const writer = new ProgramWriter();
      const x = writer.input([problem.n, problem.c, problem.h, problem.w]);
      const { y, shape, weights, of } = convolve(writer, x, problem, mutable);
      const dy = writer.input(shape);
      const wanted = problem.wanted ?? ['dx', 'dw', ...(problem.bias ? (['db'] as const) : [])];
      const [dx, dw, db] = (['dx', 'dw', 'db'] as const).map((what) =>
        wanted.includes(what)
          ? writer.tensor(
              ...(what === 'dx'
                ? [problem.n, problem.c, problem.h, problem.w]
                : what === 'dw'
                  ? weights
                  : [problem.outputs]),
            )
          : -1,
      ) as [number, number, number];
      writer.operation([x, y, dy], [dx, dw, db], { kind: 'gradient', of });
      return [writer, [y, dx, dw, db].filter((id) => id >= 0)];
    };
    trainingOperations.push({
      name: `the gradient of convolution ${JSON.stringify(problem)}, ${mutable ? 'learned' : 'fixed'} weights`,
      write,
      tolerance: 2e-6,
    });
  }
}

for (const [shape, transpose, relu] of [
  [[3, 7], false, null],
  [[4, 5, 2, 3], false, null],
  [[2, 32, 1, 1], false, { negativeSlope: 0 }],
  [[3, 7], true, null],
] as const) {
  trainingOperations.push({
    name: `the gradient of an inner product of ${shape}${transpose ? ', transposed' : ''}`,
    write: () => {
      const writer = new ProgramWriter();
      const [x, y] = [writer.input(shape), writer.tensor(shape[0], 9)];
      const inputs = elementCount(shape.slice(1));
      const weights = transpose ? [inputs, 9] : [9, inputs];
      const of = writer.operation([x], [y], {
        kind: 'innerProduct',
        weights: writer.parameter(weights, { mutable: true }),
        bias: writer.parameter([9], { mutable: true }),
        axis: 1,
        numOutput: 9,
        transpose,
        ...unfused,
        relu,
      });
      const [dy, dx, dw, db] = [
        writer.input([shape[0], 9]),
        writer.tensor(...shape),
        writer.tensor(...weights),
        writer.tensor(9),
      ];
      writer.operation([x, y, dy], [dx, dw, db], { kind: 'gradient', of });
      return [writer, [y, dx, dw, db]];
    },
    tolerance: 2e-6,
  });
}

interface Pooling {
  method: 'max' | 'average';
  size: number;
  out: number;
  kernel: number;
  stride: number;
  pad: number;
  channels: number;
}
const poolings: Pooling[] = [
  { method: 'max', size: 12, out: 6, kernel: 3, stride: 2, pad: 0, channels: 16 },
  { method: 'max', size: 13, out: 7, kernel: 3, stride: 2, pad: 1, channels: 5 },
  { method: 'max', size: 7, out: 4, kernel: 2, stride: 2, pad: 0, channels: 32 },
  { method: 'max', size: 4, out: 1, kernel: 4, stride: 1, pad: 0, channels: 3 },
  { method: 'average', size: 7, out: 1, kernel: 7, stride: 1, pad: 0, channels: 32 },
  { method: 'average', size: 12, out: 6, kernel: 3, stride: 2, pad: 0, channels: 16 },
  { method: 'average', size: 13, out: 7, kernel: 3, stride: 2, pad: 1, channels: 16 },
  { method: 'average', size: 8, out: 5, kernel: 3, stride: 2, pad: 1, channels: 4 },
];
for (const pooling of poolings) {
  for (const behind of [false, true]) {
    const { method, size, out, kernel, stride, pad, channels } = pooling;
    trainingOperations.push({
      name: `the gradient of pooling ${JSON.stringify(pooling)}${behind ? ' behind a convolution' : ''}, with ties`,
      write: () => {
        const writer = new ProgramWriter();
        const shape = [2, channels, size, size];
        // Few distinct values, so that most windows have several maxima.
        const few = noise(2 * channels * size * size, 5).map((value) => Math.round(value * 2));
        let x = writer.input(shape, few);
        const input = x;
        let first: ReturnType<typeof convolve> | null = null;
        if (behind) {
          first = convolve(writer, x, {
            n: 2,
            c: channels,
            h: size,
            w: size,
            outputs: channels,
            kernel: 1,
          });
          const identity = writer.parameterValues[0]!;
          identity.forEach((_, i) => {
            identity[i] = i % (channels + 1) === 0 ? 1 : 0;
          });
          x = first.y;
        }
        const y = writer.tensor(2, channels, out, out);
        const of = writer.operation([x], [y], {
          kind: 'pooling',
          method,
          kernel: [kernel, kernel],
          stride: [stride, stride],
          pad: [pad, pad],
        });
        const [dy, dx] = [writer.input([2, channels, out, out]), writer.tensor(...shape)];
        writer.operation([x, y, dy], [dx], { kind: 'gradient', of });
        if (first === null) return [writer, [y, dx]];
        const [dInput, dw] = [writer.tensor(...shape), writer.tensor(...first.weights)];
        writer.operation([input, x, dx], [dInput, dw, -1], { kind: 'gradient', of: first.of });
        return [writer, [y, dInput, dw]];
      },
      tolerance: 2e-6,
    });
  }
}

const normalisations = [
  { shape: [2, 5, 3, 4], relu: null, scale: true, statistics: 'batch' },
  { shape: [4, 16, 7, 7], relu: 0, scale: true, statistics: 'batch' },
  { shape: [1, 20, 9, 5], relu: 0.1, scale: true, statistics: 'batch' },
  { shape: [3, 40, 11, 11], relu: 0, scale: true, statistics: 'batch' },
  { shape: [8, 24], relu: 0, scale: true, statistics: 'batch' },
  { shape: [6, 7], relu: null, scale: false, statistics: 'batch' },
  { shape: [1, 3, 1, 1], relu: null, scale: true, statistics: 'batch' },
  { shape: [2, 33, 8, 8], relu: 0, scale: false, statistics: 'batch' },
  { shape: [2, 33, 8, 8], relu: 0, scale: true, statistics: 'global' },
  { shape: [2, 4, 5, 5], relu: null, scale: false, statistics: 'global' },
] as const;
for (const { shape, relu, scale, statistics } of normalisations) {
  for (const behind of shape.length === 4 ? [false, true] : [false]) {
    const what = `batchNorm of ${shape}, ReLU ${relu}, ${scale ? 'scaled, ' : ''}${statistics} statistics${behind ? ', behind a convolution' : ''}`;
    trainingOperations.push({
      name: `the gradient of ${what}`,
      write: () => {
        const writer = new ProgramWriter();
        const [n, c, h = 1, w = 1] = shape;
        const input = writer.input(shape);
        const first = behind ? convolve(writer, input, { n, c, h, w, outputs: c, kernel: 1 }) : null;
        const x = first?.y ?? input;
        const [y, mean, variance] = [writer.tensor(...shape), writer.tensor(c), writer.tensor(c)];
        const mutable = true;
        const positive = noise(c, 77).map((value) => 3 * (1.5 + value));
        const of = writer.operation([x], [y, mean, variance], {
          kind: 'batchNorm',
          mean: writer.parameter([c], { mutable }),
          variance: writer.parameter([c], { values: positive, mutable }),
          factor: writer.parameter([1], { values: Float32Array.of(3), mutable }),
          eps: 1e-3,
          movingAverageFraction: 0.9,
          statistics,
          update: true,
          synchronised: false,
          scale: scale ? writer.parameter([c], { mutable }) : null,
          bias: scale ? writer.parameter([c], { mutable }) : null,
          relu: relu === null ? null : { negativeSlope: relu },
        });
        const [dy, dx] = [writer.input(shape), writer.tensor(...shape)];
        const [dScale, dBias] = scale ? [writer.tensor(c), writer.tensor(c)] : [-1, -1];
        writer.operation([x, y, mean, variance, dy, -1, -1], [dx, dScale, dBias], { kind: 'gradient', of });
        const outputs = [y, mean, variance, dScale, dBias].filter((id) => id >= 0);
        if (first === null) return [writer, [...outputs, dx]];
        const [dInput, dw] = [writer.tensor(...shape), writer.tensor(...first.weights)];
        writer.operation([input, x, dx], [dInput, dw, -1], { kind: 'gradient', of: first.of });
        return [writer, [...outputs, dInput, dw]];
      },
      // With one value per channel, subtracting the mean leaves only rounding errors.
      tolerance: 1e-5,
      options: { runs: 2 },
    });
  }
}

// A residual that the batchNorm adds, once from outside and once from the same convolution. The diff of the sum is the
// total of its readers' parts behind the ReLU.
for (const relu of [null, { negativeSlope: 0 }, { negativeSlope: 0.2 }])
  for (const statistics of ['batch', 'global'] as const)
    for (const [channels, parts] of [
      [5, 1],
      [16, 2],
      [20, 4],
    ] as const)
      for (const isOwn of [true, false])
        trainingOperations.push({
          name: `the gradient of batchNorm of ${channels} channels with a residual ${isOwn ? 'that nobody else reads' : 'that its own convolution reads'}, ReLU ${relu?.negativeSlope}, ${statistics} statistics, ${parts} parts of its diff`,
          write: () => {
            const writer = new ProgramWriter();
            const shape = [3, channels, 5, 6];
            const convolution = { n: 3, c: channels, h: 5, w: 6, outputs: channels, kernel: 3, pad: 1 };
            const x = writer.input(shape);
            const first = convolve(writer, x, convolution);
            const residual = isOwn ? writer.input(shape) : x;
            const [y, mean, variance] = [
              writer.tensor(...shape),
              writer.tensor(channels),
              writer.tensor(channels),
            ];
            const mutable = true;
            const of = writer.operation([first.y, residual], [y, mean, variance], {
              kind: 'batchNorm',
              mean: writer.parameter([channels], { mutable }),
              variance: writer.parameter([channels], {
                values: noise(channels, 5).map((value) => 2 + value),
                mutable,
              }),
              factor: writer.parameter([1], { values: Float32Array.of(2), mutable }),
              eps: 1e-3,
              movingAverageFraction: 0.9,
              statistics,
              update: true,
              synchronised: false,
              scale: writer.parameter([channels], { mutable }),
              bias: writer.parameter([channels], { mutable }),
              relu,
            });
            const diffs = Array.from({ length: parts }, () => writer.input(shape));
            const through = writer.tensor(...shape);
            writer.operation([y, ...diffs], [through], {
              kind: 'sumBehindRelu',
              negativeSlope: relu?.negativeSlope ?? 1,
              stride: [1, 1],
              eps: [],
            });
            const [dx, dScale, dBias] = [
              writer.tensor(...shape),
              writer.tensor(channels),
              writer.tensor(channels),
            ];
            writer.operation([first.y, -1, -1, mean, variance, through, -1, -1], [dx, -1, dScale, dBias], {
              kind: 'gradient',
              of,
            });
            const [dInput, dw] = [writer.tensor(...shape), writer.tensor(...first.weights)];
            writer.operation([x, first.y, dx], [dInput, dw, -1], { kind: 'gradient', of: first.of });
            return [writer, [y, through, dScale, dBias, dInput, dw]];
          },
          tolerance: 1e-5,
        });

// The end of a block on a device with slow memory (ts/gradient/spare-traffic.ts). The sums of a BatchNorm with a
// residual, and of the one that makes the residual, are computed together with their diff. Diffs of strided 1×1
// convolutions hold only the positions that these read.
for (const [channels, height, width, stride] of [
  [5, 6, 5, [1, 1]],
  [16, 7, 5, [2, 2]],
  [20, 4, 6, [2, 1]],
  [64, 5, 5, [3, 2]],
  [32, 1, 1, [2, 2]],
] as const)
  for (const whole of [0, 1, 2])
    for (const norms of [1, 2])
      trainingOperations.push({
        name: `${norms} sums of batchNorms of ${channels} channels with their diff, of ${whole} whole parts and two at a stride of ${stride}`,
        write: () => {
          const writer = new ProgramWriter();
          const [n, h, w] = [3, height, width];
          const shape = [n, channels, h, w];
          const x = writer.input(shape);
          const problem = { n, c: channels, h, w, outputs: channels, kernel: 3, pad: 1 };
          const made = Array.from({ length: norms }, () => convolve(writer, x, problem));
          const statistics = made.map(() => [writer.tensor(channels), writer.tensor(channels)] as const);
          const mutable = true;
          const normalised = made.map(() => writer.tensor(...shape));
          // Of the last one: where it is positive.
          const signs = whole === 1 ? [] : [writer.tensor(...shape)];
          const signsOf = (i: number) => (i === norms - 1 ? signs : []);
          const operations = made.map((convolution, i) =>
            writer.operation(
              [convolution.y, ...(i === norms - 1 ? [i === 0 ? x : normalised[0]!] : [])],
              [normalised[i]!, ...statistics[i]!, ...signsOf(i)],
              {
                kind: 'batchNorm',
                mean: writer.parameter([channels], { mutable }),
                variance: writer.parameter([channels], { mutable }),
                factor: writer.parameter([1], { mutable }),
                eps: 1e-3 * (i + 1),
                movingAverageFraction: 0.9,
                statistics: 'batch',
                update: true,
                synchronised: false,
                scale: writer.parameter([channels], { mutable }),
                bias: i === 0 ? writer.parameter([channels], { mutable }) : null,
                relu: i === norms - 1 ? { negativeSlope: 0 } : null,
              },
            ),
          );
          const y = normalised.at(-1)!;
          const [p, q] = [Math.ceil(h / stride[0]), Math.ceil(w / stride[1])];
          const sampled = Array.from({ length: 2 }, () => {
            const [z, dz, dy] = [
              writer.tensor(n, 8, p, q),
              writer.input([n, 8, p, q]),
              writer.tensor(n, channels, p, q),
            ];
            const weights = writer.parameter([8, channels, 1, 1], { mutable });
            const of = writer.operation([y], [z], {
              kind: 'convolution',
              weights,
              bias: null,
              kernel: [1, 1],
              stride,
              pad: [0, 0],
              dilation: [1, 1],
              group: 1,
              ...unfused,
            });
            const dw = writer.tensor(8, channels, 1, 1);
            writer.operation([y, -1, dz], [dy, dw, -1], { kind: 'gradient', of });
            return { dy, dw };
          });
          const diffs = [
            ...Array.from({ length: whole }, () => writer.input(shape)),
            ...sampled.map(({ dy }) => dy),
          ];
          const through = writer.tensor(...shape);
          const sums = made.map(() => [writer.tensor(channels), writer.tensor(channels)] as const);
          writer.operation(
            [
              signs[0] ?? y,
              ...diffs,
              ...made.flatMap((convolution, i) => [convolution.y, ...statistics[i]!]),
            ],
            [through, ...sums.flat()],
            { kind: 'sumBehindRelu', negativeSlope: 0.1, stride, eps: made.map((_, i) => 1e-3 * (i + 1)) },
          );
          const dws = made.map((convolution, i) => {
            const dx = writer.tensor(...shape);
            const residual = i === norms - 1 ? [-1] : [];
            const none = signsOf(i).map(() => -1);
            const its = [convolution.y, ...residual, -1, ...statistics[i]!, ...none];
            writer.operation([...its, through, -1, -1, ...none, ...sums[i]!], [dx, ...residual, -1, -1], {
              kind: 'gradient',
              of: operations[i]!,
            });
            const dw = writer.tensor(...convolution.weights);
            writer.operation([x, -1, dx], [-1, dw, -1], { kind: 'gradient', of: convolution.of });
            return dw;
          });
          return [writer, [y, through, ...sums.flat(), ...dws, ...sampled.map(({ dw }) => dw)]];
        },
        tolerance: 2e-5,
      });

// As in a net with a frozen BatchNorm: nothing is saved, and the input is available only if a parameter learns.
for (const relu of [null, { negativeSlope: 0 }])
  for (const learns of [true, false])
    for (const channels of [5, 32])
      trainingOperations.push({
        name: `the gradient of a frozen batchNorm of ${channels} channels, ${relu === null ? 'no' : 'with'} ReLU, ${learns ? 'scale learned' : 'nothing learned'}`,
        write: () => {
          const writer = new ProgramWriter();
          const shape = [2, channels, 6, 5];
          const input = writer.input(shape);
          const first = convolve(writer, input, {
            n: 2,
            c: channels,
            h: 6,
            w: 5,
            outputs: channels,
            kernel: 1,
          });
          const y = writer.tensor(...shape);
          const of = writer.operation([first.y], [y], {
            kind: 'batchNorm',
            mean: writer.parameter([channels]),
            variance: writer.parameter([channels], {
              values: noise(channels, 7).map((value) => 2 + value),
            }),
            factor: writer.parameter([1], { values: Float32Array.of(2) }),
            eps: 1e-5,
            movingAverageFraction: 0.9,
            statistics: 'global',
            update: false,
            synchronised: false,
            scale: writer.parameter([channels], { mutable: learns }),
            bias: writer.parameter([channels], { mutable: learns }),
            relu,
          });
          const [dy, dx] = [writer.input(shape), writer.tensor(...shape)];
          const [dScale, dBias] = learns ? [writer.tensor(channels), writer.tensor(channels)] : [-1, -1];
          const read = [learns ? first.y : -1, relu === null ? -1 : y, dy];
          writer.operation(read, [dx, dScale, dBias], { kind: 'gradient', of });
          const dw = writer.tensor(...first.weights);
          writer.operation([input, first.y, dx], [-1, dw, -1], { kind: 'gradient', of: first.of });
          return [writer, [y, dw, dx, dScale, dBias].filter((id) => id >= 0)];
        },
        tolerance: 5e-6,
      });

for (const coefficients of [
  [1, 1],
  [1, -2],
  [0.5, 0.5, 2],
  [1, 1, 1],
])
  for (const relu of [null, { negativeSlope: 0 }, { negativeSlope: 0.2 }, { negativeSlope: -0.2 }])
    for (const channels of [5, 16])
      trainingOperations.push({
        name: `eltwise sum ${coefficients} of ${channels} channels, ReLU ${relu?.negativeSlope}, its gradient, and sums of what has several readers`,
        write: () => {
          const writer = new ProgramWriter();
          const shape = [2, channels, 6, 7];
          const convolution = { n: 2, c: channels, h: 6, w: 7, outputs: channels, kernel: 3, pad: 1 };
          const x = writer.input(shape);
          // The first operand comes from a convolution, the others are row-major, and the last is the input itself.
          const first = convolve(writer, x, convolution);
          const operands = coefficients.map((_, i) =>
            i === 0 ? first.y : i === coefficients.length - 1 ? x : writer.input(shape),
          );
          const y = writer.tensor(...shape);
          const of = writer.operation(operands, [y], {
            kind: 'eltwise',
            operation: 'sum',
            coefficients,
            stableProdGrad: true,
            relu,
          });
          const [z, dz, dy] = [writer.tensor(...shape), writer.input(shape), writer.tensor(...shape)];
          const last = writer.operation([y], [z], { kind: 'relu', negativeSlope: 0.1 });
          writer.operation([y, z, dz], [dy], { kind: 'gradient', of: last });
          const diffs = operands.map(() => writer.tensor(...shape));
          writer.operation([...operands, y, dy], diffs, { kind: 'gradient', of });
          const [through, dw, dx] = [
            writer.tensor(...shape),
            writer.tensor(...first.weights),
            writer.tensor(...shape),
          ];
          writer.operation([x, first.y, diffs[0]!], [through, dw, -1], { kind: 'gradient', of: first.of });
          writer.operation([through, diffs.at(-1)!], [dx], {
            kind: 'eltwise',
            operation: 'sum',
            coefficients: [1, 1],
            stableProdGrad: true,
            relu: null,
          });
          return [writer, [z, dx, dw]];
        },
        tolerance: 3e-6,
      });

const FUNCTIONS: readonly OperationAttributes[] = [
  { kind: 'elu', alpha: 0.7 },
  { kind: 'elu', alpha: -0.3 },
  { kind: 'sigmoid' },
  { kind: 'tanh' },
  { kind: 'absval' },
  { kind: 'power', power: 1, scale: -1.5, shift: 0.5 },
  { kind: 'power', power: 2, scale: 0.5, shift: 1 },
  { kind: 'clip', min: -0.5, max: 0.75, passesBounds: true, inPlace: false },
  { kind: 'exp', inner: 0.5, outer: 2 },
  { kind: 'lrn', region: 'across', size: 5, alpha: 2, beta: 0.75, k: 1 },
  { kind: 'lrn', region: 'across', size: 7, alpha: 3, beta: 0.5, k: 2 },
  { kind: 'lrn', region: 'across', size: 3, alpha: 1, beta: 1, k: 0.5 },
];

/**
 * The result of a 1×1 convolution, for an operation with as many values to follow, and the destination of its gradient.
 */
function behindConvolution(channels: number) {
  const writer = new ProgramWriter();
  const [n, h, w] = [2, 7, 19];
  const shape = [n, channels, h, w];
  const [x, dy] = [writer.input(shape), writer.input(shape)];
  const first = convolve(writer, x, { n, c: channels, h, w, outputs: channels, kernel: 1 });
  const [y, diff, dx] = [writer.tensor(...shape), writer.tensor(...shape), writer.tensor(...shape)];
  const dw = writer.tensor(...first.weights);
  /** The convolution's gradient, once `diff` is computed. */
  const finish = () => writer.operation([x, first.y, diff], [dx, dw, -1], { kind: 'gradient', of: first.of });
  return { writer, x: first.y, y, dy, diff, dx, dw, finish };
}

for (const attributes of FUNCTIONS)
  for (const channels of [5, 16])
    trainingOperations.push({
      name: `${JSON.stringify(attributes)} of ${channels} channels and its gradient`,
      write: () => {
        const { writer, x, y, dy, diff, dx, dw, finish } = behindConvolution(channels);
        const of = writer.operation([x], [y], attributes);
        writer.operation([x, y, dy], [diff], { kind: 'gradient', of });
        finish();
        return [writer, [y, dx, dw]];
      },
      tolerance: 5e-6,
    });

for (const channelShared of [false, true])
  for (const channels of [5, 16, 21])
    trainingOperations.push({
      name: `PReLU of ${channels} channels, ${channelShared ? 'one slope' : 'a slope each'}, and its gradient`,
      write: () => {
        const { writer, x, y, dy, diff, dx, dw, finish } = behindConvolution(channels);
        const slopes = [channelShared ? 1 : channels];
        const slope = writer.parameter(slopes, { mutable: true });
        const dSlope = writer.tensor(...slopes);
        const of = writer.operation([x], [y], { kind: 'prelu', slope, channelShared });
        writer.operation([x, -1, dy], [diff, dSlope], { kind: 'gradient', of });
        finish();
        return [writer, [y, dx, dSlope, dw]];
      },
      tolerance: 5e-6,
    });

trainingOperations.push({
  name: 'a reshape and its gradient',
  write: () => {
    const writer = new ProgramWriter();
    const [x, dz] = [writer.input([2, 16, 3, 3]), writer.input([2, 144])];
    const first = convolve(writer, x, { n: 2, c: 16, h: 3, w: 3, outputs: 16, kernel: 1 });
    const [same, flat, dSame, dY] = [
      writer.tensor(2, 16, 3, 3),
      writer.tensor(2, 144),
      writer.tensor(2, 16, 3, 3),
      writer.tensor(2, 16, 3, 3),
    ];
    const one = writer.operation([first.y], [same], { kind: 'reshape' });
    const two = writer.operation([same], [flat], { kind: 'reshape' });
    writer.operation([same, flat, dz], [dSame], { kind: 'gradient', of: two });
    writer.operation([first.y, same, dSame], [dY], { kind: 'gradient', of: one });
    const [dx, dw] = [writer.tensor(2, 16, 3, 3), writer.tensor(...first.weights)];
    writer.operation([x, first.y, dY], [dx, dw, -1], { kind: 'gradient', of: first.of });
    return [writer, [same, flat, dSame, dx, dw]];
  },
  tolerance: 2e-6,
});

for (const [n, channels, size] of [
  [2, 16, 8],
  [1, 5, 7],
  [3, 32, 2],
  [2, 32, 1],
] as const)
  trainingOperations.push({
    name: `the shortcut without parameters of ${channels} channels at ${size}×${size}: sampling, zeros, Concat, and back`,
    write: () => {
      const writer = new ProgramWriter();
      const shape = [n, channels, size, size];
      const half = Math.ceil(size / 2);
      const [small, wide] = [
        [n, channels, half, half],
        [n, 2 * channels, half, half],
      ] as const;
      const x = writer.input(shape);
      const first = convolve(writer, x, { n, c: channels, h: size, w: size, outputs: channels, kernel: 1 });
      const [pooled, zeros, y] = [writer.tensor(...small), writer.tensor(...small), writer.tensor(...wide)];
      const pooling = writer.operation([first.y], [pooled], {
        kind: 'pooling',
        method: 'max',
        kernel: [1, 1],
        stride: [2, 2],
        pad: [0, 0],
      });
      const power = writer.operation([pooled], [zeros], { kind: 'power', power: 1, scale: 0.25, shift: 0 });
      const concat = writer.operation([pooled, zeros], [y], { kind: 'concat', axis: 1 });
      const dy = writer.input(wide);
      const diffs = [0, 1, 2].map(() => writer.tensor(...small));
      writer.operation([-1, -1, -1, dy], [diffs[0]!, diffs[1]!], { kind: 'gradient', of: concat });
      writer.operation([-1, -1, diffs[1]!], [diffs[2]!], { kind: 'gradient', of: power });
      const [sum, dFirst, dx] = [writer.tensor(...small), writer.tensor(...shape), writer.tensor(...shape)];
      writer.operation([diffs[0]!, diffs[2]!], [sum], {
        kind: 'eltwise',
        operation: 'sum',
        coefficients: [1, 1],
        stableProdGrad: true,
        relu: null,
      });
      writer.operation([first.y, -1, sum], [dFirst], { kind: 'gradient', of: pooling });
      const dw = writer.tensor(...first.weights);
      writer.operation([x, -1, dFirst], [dx, dw, -1], { kind: 'gradient', of: first.of });
      return [writer, [y, dx, dw]];
    },
    tolerance: 2e-6,
  });

const rules = [
  'sgd',
  'nesterov',
  'adagrad',
  'rmsprop',
  'adadelta',
  'adam',
  'adamw',
  'lars',
  'dampened',
] as const;
for (const rule of rules)
  for (const regularization of ['L1', 'L2'] as const)
    for (const clipGradients of [null, 0.5]) {
      const problem = { n: 2, c: 16, h: 5, w: 5, outputs: 32, kernel: 3, pad: 1, bias: true };
      trainingOperations.push({
        name: `${rule} with ${regularization}${clipGradients === null ? '' : ', clipped'}: three updates of two steps each`,
        write: () => {
          const writer = new ProgramWriter();
          const [schedule, x] = [writer.input([5]), writer.input([2, 16, 5, 5])];
          const { y, shape, weights, of } = convolve(writer, x, problem);
          const [dy, dw, db] = [writer.input(shape), writer.tensor(...weights), writer.tensor(32)];
          writer.operation([x, y, dy], [-1, dw, db], { kind: 'gradient', of });
          const zeros = (dims: readonly number[]) =>
            writer.parameter(dims, {
              values: new Float32Array(elementCount(dims)),
              mutable: true,
            });
          const histories = ['adam', 'adamw', 'adadelta'].includes(rule) ? 2 : 1;
          const lone = writer.parameter([40001], { mutable: true });
          const learned = [
            { parameter: 0, dims: weights, lrMult: 1, decayMult: 1 },
            { parameter: 1, dims: [32], lrMult: 2, decayMult: 0 },
            { parameter: lone, dims: [40001], lrMult: 1, decayMult: 1 },
          ];
          writer.operation([schedule, dw, db, -1], [], {
            kind: 'update',
            rule: rule === 'dampened' ? 'sgd' : rule,
            dampened: rule === 'dampened',
            trust: 0.02,
            averageDecay: 0.75,
            momentum: 0.9,
            momentum2: 0.99,
            delta: 1e-4,
            rmsDecay: 0.95,
            clipGradients,
            iterSize: 2,
            weightDecay: 0.01,
            regularization,
            parameters: learned.map(({ parameter, dims, lrMult, decayMult }) => ({
              parameter,
              history: Array.from({ length: histories }, () => zeros(dims)),
              accumulator: zeros(dims),
              average: decayMult === 0 ? null : zeros(dims),
              lrMult,
              decayMult,
            })),
          });
          return [writer, [y, dw]];
        },
        // A gradient near 0, divided by its own small size, shows its rounding errors.
        tolerance: ['sgd', 'nesterov', 'lars', 'dampened'].includes(rule) ? 1e-5 : 1e-4,
        options: {
          runs: 6,
          inputs: (run) => [
            Float32Array.of(
              ...[0.05, Math.floor(run / 2), run % 2 === 0 ? 1 : 0, run % 2],
              clipGradients === null ? 1 : run < 4 ? 6 : 3,
            ),
            noise(2 * 16 * 25, 1000 + run),
            noise(2 * 32 * 25, 2000 + run),
          ],
        },
      });
    }

/** A step whose bits must be the same each time. */
export function convolutionStep(): [ProgramWriter, TensorId[]] {
  const writer = new ProgramWriter();
  const problem = { n: 4, c: 64, h: 14, w: 14, outputs: 64, kernel: 3, pad: 1 };
  const x = writer.input([4, 64, 14, 14]);
  const { y, shape, weights, of } = convolve(writer, x, problem);
  const [dy, dx, dw] = [writer.input(shape), writer.tensor(4, 64, 14, 14), writer.tensor(...weights)];
  writer.operation([x, y, dy], [dx, dw, -1], { kind: 'gradient', of });
  return [writer, [y, dx, dw]];
}
