/** Native code refuses invalid programs before planning, with an error that names the layer, its kind and the field. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAgain } from '../../ts/gradient/gradient-needs.ts';
import { unfused } from '../../ts/layers/operation.ts';
import type { OperationAttributes } from '../../ts/operations/operations.ts';
import type { Program, ProgramOperation } from '../../ts/operations/program.ts';
import { openNative, ProgramWriter } from '../support/run-program.ts';

const device = openNative('reference');
test.after(() => device.dispose());

const OPTIONS = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;

/** The message of the refusal; null: the program is accepted. */
async function refusal(program: unknown): Promise<string | null> {
  try {
    (await device.prepare(program as Program, OPTIONS)).dispose();
    return null;
  } catch (error) {
    assert.is((error as { code?: string }).code, 'program/invalid', String(error));
    return (error as Error).message;
  }
}

const window = { kernel: [3, 3], stride: [1, 1], pad: [1, 1], dilation: [1, 1] } as const;

interface Damaged extends Omit<Program, 'operations'> {
  readonly operations: Record<string, unknown>[];
}

/** x → convolution → prelu, and the gradients of both; `change` damages the program. */
function program(change: (program: Damaged) => void): Program {
  const writer = new ProgramWriter();
  const x = writer.input([2, 4, 5, 5]);
  const [y, z] = [writer.tensor(2, 6, 5, 5), writer.tensor(2, 6, 5, 5)];
  const weights = writer.parameter([6, 4, 3, 3]);
  writer.operation([x], [y], {
    kind: 'convolution',
    weights,
    bias: null,
    ...window,
    group: 1,
    ...unfused,
    relu: { negativeSlope: 0 },
  });
  writer.operation([y], [z], { kind: 'prelu', slope: writer.parameter([6]), channelShared: false });
  const [dz, dy, dw] = [writer.input([2, 6, 5, 5]), writer.tensor(2, 6, 5, 5), writer.tensor(6, 4, 3, 3)];
  writer.operation([y, -1, dz], [dy, -1], { kind: 'gradient', of: 1 });
  writer.operation([x, y, dy], [-1, dw, -1], { kind: 'gradient', of: 0 });
  const written = structuredClone(writer.program([z, dw]));
  change(written as never);
  return written;
}

test('valid programs are accepted', async () => {
  assert.is(await refusal(program(() => {})), null);
});

const FAULTS: readonly [name: string, change: Parameters<typeof program>[0], message: RegExp][] = [
  [
    'a misspelt field',
    (p) => rename(p.operations[1]!, 'slope', 'slpoe'),
    /"o1" \(prelu\): slope must be .* missing/,
  ],
  ['an unknown field', (p) => (p.operations[1]!.slpoe = 1), /"o1" \(prelu\): unknown field "slpoe"/],
  [
    'an unknown field of a ReLU',
    (p) => (p.operations[0]!.relu = { negativeSlope: 0, slope: 1 }),
    /"o0" \(convolution\): relu: unknown field "slope"/,
  ],
  [
    'two functions behind one operation',
    (p) => (p.operations[0]!.clip = 6),
    /"o0" \(convolution\): at most one of relu, clip and slopes may be given/,
  ],
  [
    'a clip to 0',
    (p) => Object.assign(p.operations[0]!, { relu: null, clip: 0 }),
    /"o0" \(convolution\): clip must be above 0/,
  ],
  [
    'a clip to what is not a number',
    (p) => Object.assign(p.operations[0]!, { relu: null, clip: Number.NaN }),
    /"o0" \(convolution\): clip must be above 0/,
  ],
  [
    'slopes of other channels',
    (p) => Object.assign(p.operations[0]!, { relu: null, slopes: 0 }),
    /"o0" \(convolution\): slopes has 216 values, must have 6/,
  ],
  [
    'a gradient of what slopes are fused into',
    (p) => Object.assign(p.operations[0]!, { relu: null, slopes: 1 }),
    /\(gradient\): an operation with a fused clip or slopes has no gradient/,
  ],
  [
    'a missing bias',
    (p) => delete p.operations[0]!.bias,
    /"o0" \(convolution\): bias must be an integer.* missing/,
  ],
  [
    'a pair of one number',
    (p) => (p.operations[0]!.stride = [1]),
    /"o0" \(convolution\): stride must be two integers, it is a list of 1/,
  ],
  [
    'a pair of a word',
    (p) => (p.operations[0]!.pad = [1, 'one']),
    /"o0" \(convolution\): pad\[1\] must be an integer of 53 bits, it is "one"/,
  ],
  [
    'half a pixel',
    (p) => (p.operations[0]!.kernel = [3, 2.5]),
    /kernel\[1\] must be an integer of 53 bits, it is 2.5/,
  ],
  [
    'a stride of 0',
    (p) => (p.operations[0]!.stride = [0, 1]),
    /"o0" \(convolution\): stride is 0, must be at least 1/,
  ],
  [
    'an integer beyond 2^53',
    (p) => (p.operations[0]!.group = 2 ** 60),
    /group must be an integer of 53 bits/,
  ],
  [
    'an id beyond 32 bits',
    (p) => (p.operations[0]!.weights = 2 ** 32),
    /weights must be an integer of 32 bits/,
  ],
  [
    'a number for a truth',
    (p) => (p.operations[1]!.channelShared = 0),
    /channelShared must be true or false, it is 0/,
  ],
  [
    'a word for a number',
    (p) => (p.operations[0]!.relu = { negativeSlope: '0' }),
    /relu.negativeSlope must be a number, it is "0"/,
  ],
  ['an unknown kind', (p) => (p.operations[0]!.kind = 'convolutoin'), /unknown operation kind "convolutoin"/],
  ['no kind', (p) => delete p.operations[0]!.kind, /operations\[0\].kind must be a string, it is missing/],
  [
    'inputs that are no list',
    (p) => (p.operations[0]!.inputs = 0),
    /"o0" \(convolution\): inputs must be a list, it is 0/,
  ],
  [
    'an operation that is a number',
    (p) => (p.operations[0] = 3 as never),
    /operations\[0\] must be an object, it is 3/,
  ],
  [
    'a tensor without a shape',
    (p) => delete (p.tensors[0] as { shape?: unknown }).shape,
    /tensors\[0\].shape must be a list, it is missing/,
  ],
  ['no tensors', (p) => delete (p as { tensors?: unknown }).tensors, /tensors must be a list, it is missing/],
  [
    'an output that nothing makes',
    (p) => ((p.outputs as number[])[0] = (p.tensors as unknown[]).push({ name: 'nobody', shape: [1] }) - 1),
    /^outputs: reads tensor \d+, which no earlier operation makes/,
  ],
  [
    'an input that is made later',
    (p) => p.operations.reverse(),
    /which no earlier operation makes|must be from 0 to below 0/,
  ],
  [
    'a tensor made twice',
    (p) => (p.operations[1]!.outputs = p.operations[0]!.outputs),
    /"o1" \(prelu\): makes tensor 1, which an earlier operation already makes/,
  ],
  [
    'a tensor that does not exist',
    (p) => (p.operations[1]!.inputs = [99]),
    /"o1" \(prelu\): tensor 99 does not exist/,
  ],
  [
    'an absent input of a forward operation',
    (p) => (p.operations[1]!.inputs = [-1]),
    /"o1" \(prelu\): tensor -1 does not exist/,
  ],
  [
    'a parameter that does not exist',
    (p) => (p.operations[1]!.slope = 2),
    /"o1" \(prelu\): slope is 2, must be from 0 to below 2/,
  ],
  [
    'a parameter of another size',
    (p) => (p.operations[1]!.slope = 0),
    /"o1" \(prelu\): slope has 216 values, must have 6/,
  ],
  [
    'a size that a convolution does not make',
    (p) => (p.operations[0]!.pad = [1, 0]),
    /"o0" \(convolution\): outputs\[0\] is 2×6×5×5, must be 2×6×5×3/,
  ],
  ['a group that does not divide', (p) => (p.operations[0]!.group = 3), /group must divide the channels/],
  [
    'one output too many',
    (p) =>
      (p.operations[1]!.outputs as number[]).push(
        (p.tensors as unknown[]).push({ name: 'more', shape: [2, 6, 5, 5] }) - 1,
      ),
    /"o1" \(prelu\): has 2 outputs, must have 1/,
  ],
  [
    'a negative dimension',
    (p) => ((p.tensors[0]!.shape as number[])[0] = -2),
    /tensor "t0": its shape -2×4×5×5 is none/,
  ],
  ['a dimension of 0', (p) => ((p.tensors[0]!.shape as number[])[0] = 0), /its shape 0×4×5×5 is none/],
  [
    'a product beyond 64 bits',
    (p) => ((p.tensors as unknown as { shape: number[] }[])[0]!.shape = [2 ** 40, 2 ** 40, 2, 2]),
    /its shape .* is none/,
  ],
  [
    'a gradient of what comes later',
    (p) => (p.operations[2]!.of = 3),
    /"o2" \(gradient\): of is 3, must be from 0 to below 2/,
  ],
  ['a gradient of a gradient', (p) => (p.operations[3]!.of = 2), /layer "o2" has no gradient/],
  [
    'a gradient without what it reads',
    (p) => ((p.operations[2]!.inputs as number[])[0] = -1),
    /"o2" \(gradient\): inputs\[0\] is needed/,
  ],
  [
    'a diff of a parameter that is not there',
    (p) =>
      ((p.operations[3]!.outputs as number[])[2] =
        (p.tensors as unknown[]).push({ name: 'db', shape: [6] }) - 1),
    /the diff of a missing parameter/,
  ],
];

function rename(object: Record<string, unknown>, from: string, to: string): void {
  object[to] = object[from];
  delete object[from];
}

for (const [name, change, message] of FAULTS)
  test(`${name} is refused, and the refusal says where`, async () => {
    assert.match((await refusal(program(change))) ?? 'accepted', message);
  });

/**
 * A batchNorm, a strided convolution that reads it, and the sum of a diff and of the convolution's diff behind the
 * ReLU.
 */
function blockEnd(change: (program: Damaged) => void): Program {
  const writer = new ProgramWriter();
  const shape = [2, 4, 5, 5];
  const [x, residual, dz, whole] = [shape, shape, [2, 6, 3, 3], shape].map((each) => writer.input(each)) as [
    number,
    number,
    number,
    number,
  ];
  const [y, z, sampled, through, dx] = [shape, [2, 6, 3, 3], [2, 4, 3, 3], shape, shape].map((each) =>
    writer.tensor(...each),
  ) as [number, number, number, number, number];
  const [mean, variance, sum, product] = [4, 4, 4, 4].map((channels) => writer.tensor(channels)) as [
    number,
    number,
    number,
    number,
  ];
  const learned = () => writer.parameter([4], { mutable: true });
  writer.operation([x, residual], [y, mean, variance], {
    kind: 'batchNorm',
    ...{ mean: learned(), variance: learned(), factor: writer.parameter([1], { mutable: true }) },
    ...{ eps: 1e-5, movingAverageFraction: 0.9, statistics: 'batch', update: true, synchronised: false },
    ...{ scale: learned(), bias: learned(), relu: { negativeSlope: 0 } },
  });
  const once = { kernel: [1, 1], stride: [2, 2], pad: [0, 0], dilation: [1, 1] } as const;
  const weights = writer.parameter([6, 4, 1, 1]);
  writer.operation([y], [z], { kind: 'convolution', weights, bias: null, ...once, group: 1, ...unfused });
  writer.operation([-1, -1, dz], [sampled, -1, -1], { kind: 'gradient', of: 1 });
  writer.operation([y, whole, sampled, x, mean, variance], [through, sum, product], {
    ...{ kind: 'sumBehindRelu', negativeSlope: 0, stride: [2, 2], eps: [1e-5] },
  });
  const reads = [x, -1, -1, mean, variance, through, -1, -1, sum, product];
  writer.operation(reads, [dx, -1, -1, -1], { kind: 'gradient', of: 0 });
  const written = structuredClone(writer.program([dx]));
  change(written as never);
  return written;
}

test('sums that are computed with a diff, and sampled diffs, are accepted if they fit', async () => {
  assert.is(await refusal(blockEnd(() => {})), null);
});

const BLOCK_FAULTS: readonly [name: string, change: Parameters<typeof blockEnd>[0], message: RegExp][] = [
  [
    'a diff of places that no stride leaves',
    (p) => (p.operations[3]!.stride = [3, 3]),
    /"o3" \(sumBehindRelu\): inputs\[2\] is 2×4×3×3, must be 2×4×2×2/,
  ],
  [
    'a diff of fewer places where windows overlap them',
    (p) => {
      p.operations[1]!.stride = [1, 1];
      (p.tensors as unknown as { shape: number[] }[])[(p.operations[1]!.outputs as number[])[0]!]!.shape = [
        2, 6, 5, 5,
      ];
      (p.tensors as unknown as { shape: number[] }[])[(p.operations[2]!.inputs as number[])[2]!]!.shape = [
        2, 6, 5, 5,
      ];
    },
    /"o2" \(gradient\): outputs\[0\] is 2×4×3×3, must be 2×4×5×5/,
  ],
  [
    'sums of three BatchNorms',
    (p) => (p.operations[3]!.eps = [1, 1, 1]),
    /eps may have at most two values, one per BatchNorm/,
  ],
  [
    'one sum without the other',
    (p) => (p.operations[4]!.inputs as number[]).pop(),
    /"o4" \(gradient\): has 9 inputs, must have 8/,
  ],
  [
    'sums beside global statistics',
    (p) => (p.operations[0]!.statistics = 'global'),
    /"o4" \(gradient\): has 10 inputs, must have 8/,
  ],
  [
    "a parameter's diff beside the sums",
    (p) =>
      ((p.operations[4]!.outputs as number[])[3] =
        (p.tensors as unknown[]).push({ name: 'bias diff', shape: [4] }) - 1),
    /the diff of a parameter is requested, but the given sums are that diff/,
  ],
];
for (const [name, change, message] of BLOCK_FAULTS)
  test(`${name} is refused`, async () => {
    assert.match((await refusal(blockEnd(change))) ?? 'accepted', message);
  });

test('a getter that throws, and a value that is no program, give errors', async () => {
  for (const value of [undefined, null, 3, 'program', []])
    assert.match((await refusal(value)) ?? 'accepted', /the program: itself must be an object/);
  const throwing = { ...program(() => {}) };
  Object.defineProperty(throwing, 'operations', {
    enumerable: true,
    get() {
      throw new Error('not today');
    },
  });
  try {
    await device.prepare(throwing, OPTIONS);
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'not today');
  }
});

const relus = [null, { negativeSlope: 0 }];
const around = { outer: 2, channels: 4, inner: 25 };

/** Operations on maps of 2×4×5×5, in all variants that affect what their gradients read. */
const VARIANTS: readonly OperationAttributes[] = [
  ...relus.flatMap((relu): OperationAttributes[] => [
    { kind: 'convolution', weights: 0, bias: 1, ...window, group: 1, ...unfused, relu },
    { kind: 'innerProduct', weights: 2, bias: 1, axis: 1, numOutput: 4, transpose: false, ...unfused, relu },
    { kind: 'scale', operand: 'none', scale: 1, bias: 1, ...around, relu },
    { kind: 'scale', operand: 'scale', scale: null, bias: 1, ...around, relu },
    { kind: 'scale', operand: 'bias', scale: 1, bias: null, ...around, relu },
    ...(['sum', 'prod', 'max'] as const).flatMap((operation) =>
      [true, false].map(
        (stableProdGrad): OperationAttributes => ({
          kind: 'eltwise',
          operation,
          coefficients: [1, 1],
          stableProdGrad,
          relu,
        }),
      ),
    ),
    ...(['batch', 'global'] as const).map(
      (statistics): OperationAttributes => ({
        kind: 'batchNorm',
        mean: 1,
        variance: 1,
        factor: 3,
        eps: 1,
        movingAverageFraction: 1,
        statistics,
        update: false,
        synchronised: false,
        scale: 1,
        bias: 1,
        relu,
      }),
    ),
  ]),
  ...[-1, 0, 1, Number.NaN].flatMap((value): OperationAttributes[] => [
    { kind: 'relu', negativeSlope: value },
    { kind: 'elu', alpha: value },
    ...[0, 2].map((scale): OperationAttributes => ({ kind: 'power', power: value, scale, shift: 1 })),
  ]),
  { kind: 'sigmoid' },
  { kind: 'tanh' },
  { kind: 'absval' },
  { kind: 'power', power: 2, scale: 2, shift: 1 },
  { kind: 'prelu', slope: 1, channelShared: false },
  { kind: 'dropout', ratio: 0.5, seed: 1, stream: 0, rank: 0 },
  { kind: 'pooling', method: 'max', ...window },
  { kind: 'pooling', method: 'average', ...window },
  { kind: 'softmax', ...around },
  {
    kind: 'softmaxLoss',
    ...around,
    ignoreLabel: null,
    normalization: 'valid',
    smoothing: 0,
    classWeights: [],
    dividesByWeights: true,
  },
  { kind: 'euclideanLoss' },
  { kind: 'concat', axis: 0 },
  { kind: 'slice', axis: 0 },
  { kind: 'reshape' },
  { kind: 'lrn', region: 'across', size: 3, alpha: 1, beta: 1, k: 1 },
].map((each) => {
  const { dilation, ...pooling } = each as { dilation?: unknown };
  return (each.kind === 'pooling' ? pooling : each) as OperationAttributes;
});

const MAP = [2, 4, 5, 5];
interface Shapes {
  readonly inputs: number[][];
  readonly outputs: number[][];
}
/**
 * The input and output shapes of an operation with these attributes, also with a residual and signs, or with a mask.
 */
const formsOf = (attributes: OperationAttributes): Shapes[] => {
  const shapes = shapesOf(attributes);
  const { inputs, outputs } = shapes;
  if (attributes.kind === 'batchNorm')
    return [shapes, { inputs: [MAP, MAP], outputs }, { inputs, outputs: [...outputs, MAP] }];
  const hasMask = attributes.kind === 'pooling' && attributes.method === 'max';
  return hasMask ? [shapes, { inputs, outputs: [MAP, MAP] }] : [shapes];
};
const shapesOf = (attributes: OperationAttributes): Shapes => {
  switch (attributes.kind) {
    case 'innerProduct':
      return { inputs: [MAP], outputs: [[2, 4]] };
    case 'scale':
      return { inputs: attributes.operand === 'none' ? [MAP] : [MAP, [4]], outputs: [MAP] };
    case 'batchNorm':
      return { inputs: [MAP], outputs: [MAP, [4], [4]] };
    case 'dropout':
      return { inputs: [MAP, [2]], outputs: [MAP] };
    case 'eltwise':
      return { inputs: [MAP, MAP], outputs: [MAP] };
    case 'softmaxLoss':
      return { inputs: [MAP, [2, 25]], outputs: [[]] };
    case 'euclideanLoss':
      return { inputs: [MAP, MAP], outputs: [[]] };
    case 'concat':
      return { inputs: [MAP, MAP], outputs: [[4, 4, 5, 5]] };
    case 'slice':
      return {
        inputs: [MAP],
        outputs: [
          [1, 4, 5, 5],
          [1, 4, 5, 5],
        ],
      };
    default:
      return { inputs: [MAP], outputs: [MAP] };
  }
};

/** An operation and its gradient, which gets the tensors that `given` lists. */
function gradientProgram(
  attributes: OperationAttributes,
  { inputs, outputs }: Shapes,
  asked: { inputs: boolean[]; parameters: boolean[] },
  given: (operation: ProgramOperation) => { inputs: readonly boolean[]; outputs: readonly boolean[] },
): Program {
  const writer = new ProgramWriter();
  const parameters = [[4, 4, 3, 3], [4], [4, 100], [1]];
  for (const shape of parameters) writer.parameter(shape);
  const x = inputs.map((shape) => writer.input(shape));
  const y = outputs.map((shape) => writer.tensor(...shape));
  const of = writer.operation(x, y, attributes);
  const reads = given({ layer: '', inputs: x, outputs: y, ...attributes });
  const dy = outputs.map((shape) => writer.input(shape));
  const dx = inputs.map((shape, i) => (asked.inputs[i] ? writer.tensor(...shape) : -1));
  const ids = attributes as unknown as Record<string, number>;
  const learned = ['weights', 'scale', 'bias', 'slope'].filter(
    (name) => name in attributes && attributes.kind !== 'power',
  );
  const dw = learned.map((name, i) => (asked.parameters[i] ? writer.tensor(...parameters[ids[name]!]!) : -1));
  const maybe = (list: readonly number[], there: readonly boolean[]) =>
    list.map((id, i) => (there[i] ? id : -1));
  writer.operation([...maybe(x, reads.inputs), ...maybe(y, reads.outputs), ...dy], [...dx, ...dw], {
    kind: 'gradient',
    of,
  });
  return writer.program([...y, ...[...dx, ...dw].filter((id) => id >= 0)]);
}

test('native code requires of a gradient exactly what the schema says it reads', async () => {
  let count = 0;
  for (const [attributes, shapes] of VARIANTS.flatMap((each) =>
    formsOf(each).map((form) => [each, form] as const),
  )) {
    const { inputs } = shapes;
    const ids = attributes as unknown as Record<string, unknown>;
    const hasParameter = ['weights', 'scale', 'bias', 'slope']
      .filter((name) => name in attributes && attributes.kind !== 'power')
      .map((name) => ids[name] !== null);
    const firstAlone = ['dropout', 'softmaxLoss', 'batchNorm'].includes(attributes.kind);
    for (let bits = 1; bits < 2 ** (inputs.length + hasParameter.length); bits++) {
      const isAsked = (i: number) => (bits & (1 << i)) !== 0;
      const asked = {
        inputs: inputs.map((_, i) => isAsked(i) && !(firstAlone && i > 0)),
        parameters: hasParameter.map((has, i) => has && isAsked(inputs.length + i)),
      };
      if (![...asked.inputs, ...asked.parameters].includes(true)) continue;
      const what = `${JSON.stringify(attributes)} ${JSON.stringify(asked)}`;
      assert.is(
        await refusal(gradientProgram(attributes, shapes, asked, (each) => readAgain(each, asked))),
        null,
        what,
      );
      const { inputs: x, outputs: y } = readAgain(
        {
          layer: '',
          inputs: inputs.map(() => 0),
          outputs: shapes.outputs.map(() => 0),
          ...attributes,
        },
        asked,
      );
      for (const [i, isRead] of [...x, ...y].entries()) {
        if (!isRead) continue;
        const less = {
          inputs: x.map((each, k) => each && k !== i),
          outputs: y.map((each, k) => each && k + x.length !== i),
        };
        const message = await refusal(gradientProgram(attributes, shapes, asked, () => less));
        assert.match(message ?? 'accepted', new RegExp(`inputs\\[${i}\\] is needed`), what);
        count++;
      }
    }
  }
  assert.ok(count > 60, `${count} gradients without something that they read`);
});

test.run();
