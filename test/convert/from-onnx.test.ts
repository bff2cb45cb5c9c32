/** ONNX → Caffe: files that PyTorch and ONNX's own library wrote (fixtures/make.py), refusals, damaged files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { fromOnnx } from '../../ts/convert/from-onnx.ts';
import { runInPlace } from '../../ts/convert/in-place.ts';
import { computeConstant } from '../../ts/convert/onnx-constant-operators.ts';
import { integerConstant, integersOf } from '../../ts/convert/onnx-constants.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import {
  type OnnxAttribute,
  type OnnxModel,
  type OnnxTensor,
  readOnnx,
} from '../../ts/convert/onnx-proto.ts';
import { openDevice, ResnodeError, readNpy, WeightsError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'resnode-onnx-'));
test.after(() => rmSync(folder, { recursive: true }));
const npy = (name: string) => toFloat32(readNpy(readFileSync(join(fixtures, name)), { file: name }));
const input = { shape: [2, 3, 33, 33], data: npy('input.npy') };
const worst = (actual: Float32Array | undefined, expected: Float32Array) =>
  actual?.length === expected.length
    ? expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0)
    : Number.POSITIVE_INFINITY;

for (const name of ['torch-basic', 'torch-bottleneck-dynamic', 'zoo-v2', 'assorted'])
  test(`${name}.onnx gives on the CPU the results of ${name.startsWith('torch') ? 'PyTorch and ' : ''}ONNX Runtime`, async () => {
    const file = join(fixtures, `${name}.onnx`);
    const { net, weights } = readOnnxFile(file);
    using device = await openDevice('cpu');
    using model = await device.load({ model: net, weights, strict: true });
    const [key] = Object.keys(model.inputs) as [string];
    const [output, ...others] = Object.values(await model.run({ [key]: input }));
    assert.is(others.length, 0);
    const runtime = (await onnxRuntime(file))!;
    const [expected] = Object.values(await runtime.run({ [key]: input }));
    await runtime.dispose();
    assert.ok(worst(output?.data, expected!) < 1e-5, `ONNX Runtime: ${worst(output?.data, expected!)}`);
    if (name.startsWith('torch')) assert.ok(worst(output?.data, npy(`${name}.npy`)) < 1e-5);
  });

test('layers get the names of their weights, and work in place', () => {
  const { net } = readOnnxFile(join(fixtures, 'torch-bottleneck-dynamic.onnx'));
  const lines = (net.layer ?? []).map(({ name, type, bottom, top }) => `${name} ${type} ${bottom}→${top}`);
  assert.equal(lines.slice(1, 5), [
    'conv1 Convolution input→/relu/Relu_output_0',
    'bn1 BatchNorm /relu/Relu_output_0→/relu/Relu_output_0',
    'scale1 Scale /relu/Relu_output_0→/relu/Relu_output_0',
    '/relu/Relu ReLU /relu/Relu_output_0→/relu/Relu_output_0',
  ]);
  assert.match(lines.at(-1)!, /^fc InnerProduct .*→output$/);
});

test('paddings and shapes that the graph computes, including ConstantOfShape, are computed before the net runs', async () => {
  const file = join(fixtures, 'torch-folded.onnx');
  const { net, weights } = readOnnxFile(file, { inputShapes: { input: input.shape } });
  assert.equal(
    net.layer!.map(({ type }) => type),
    ['Input', 'Convolution', 'ReLU', 'Pooling', 'InnerProduct'],
  );
  using device = await openDevice('cpu');
  using model = await device.load({ model: net, weights, strict: true });
  const [output] = Object.values(await model.run({ input }));
  const runtime = (await onnxRuntime(file))!;
  const [expected] = Object.values(await runtime.run({ input }));
  await runtime.dispose();
  assert.ok(worst(output?.data, expected!) < 1e-5, `${worst(output?.data, expected!)}`);
});

const integers = (shape: number[], ...values: number[]) => integerConstant('', shape, values);
const folded = (type: string, inputs: OnnxTensor[], attributes: Record<string, OnnxAttribute> = {}) => {
  const result = computeConstant(type, 'y', inputs, new Map(Object.entries(attributes)));
  return result === null ? null : [result.shape, integersOf(result) ?? result.type];
};

test('small integers are folded as ONNX defines each operator', () => {
  const [two, row] = [integers([2, 3], 1, 2, 3, 4, 5, 6), integers([3], 7, 8, 9)];
  const equalToEight = computeConstant('Equal', '', [row, integers([], 8)], new Map())!;
  const axis = (value: number) => ({ axis: int(value) });
  assert.equal(folded('ConstantOfShape', [integers([2], 2, 1)]), [[2, 1], 'float32']);
  const seven = { value: { type: 'tensor', value: integers([1], 7) } } as const;
  assert.equal(folded('ConstantOfShape', [integers([1], 3)], seven), [[3], [7, 7, 7]]);
  assert.equal(folded('ConstantOfShape', [integers([0])], seven), [[], [7]]);
  assert.equal(folded('Shape', [two], { start: int(-1) }), [[1], [3]]);
  assert.equal(folded('Gather', [two, integers([], -1)], axis(1)), [[2], [3, 6]]);
  assert.equal(folded('Gather', [two, integers([2], 1, 0)]), [
    [2, 3],
    [4, 5, 6, 1, 2, 3],
  ]);
  assert.equal(folded('Concat', [two, integers([2, 1], 7, 8)], axis(-1)), [
    [2, 4],
    [1, 2, 3, 7, 4, 5, 6, 8],
  ]);
  assert.equal(folded('Unsqueeze', [row, integers([1], -1)]), [
    [3, 1],
    [7, 8, 9],
  ]);
  assert.equal(folded('Squeeze', [integers([1, 3], 7, 8, 9)]), [[3], [7, 8, 9]]);
  const backwards = [integers([1], -1), integers([1], -(2 ** 53 - 1)), integers([1], 0), integers([1], -1)];
  assert.equal(folded('Slice', [two, ...backwards]), [
    [2, 3],
    [4, 5, 6, 1, 2, 3],
  ]);
  assert.equal(folded('Slice', [row], { starts: ints(1), ends: ints(100) }), [[2], [8, 9]]);
  assert.equal(folded('Reshape', [two, integers([2], -1, 2)]), [
    [3, 2],
    [1, 2, 3, 4, 5, 6],
  ]);
  assert.equal(folded('Transpose', [two]), [
    [3, 2],
    [1, 4, 2, 5, 3, 6],
  ]);
  assert.equal(folded('Expand', [integers([1], 4), integers([2], 2, 1)]), [
    [2, 1],
    [4, 4],
  ]);
  assert.equal(folded('Range', [integers([], 1), integers([], 6), integers([], 2)]), [[3], [1, 3, 5]]);
  assert.equal(folded('Add', [two, row]), [
    [2, 3],
    [8, 10, 12, 11, 13, 15],
  ]);
  assert.equal(folded('Div', [integers([2], -7, 7), integers([], 2)]), [[2], [-3, 3]]);
  assert.equal(folded('Mod', [integers([2], -7, 7), integers([], 3)]), [[2], [2, 1]]);
  assert.equal(folded('Where', [equalToEight, row, integers([], 0)]), [[3], [0, 8, 0]]);
  assert.equal(folded('ReduceProd', [row], { keepdims: int(0) }), [[], [504]]);
  // An impossible constant, or one larger than a shape can be, stays unfolded and is refused by its name.
  assert.is(folded('Div', [row, integers([], 0)]), null);
  assert.is(folded('Gather', [row, integers([], 3)]), null);
  assert.is(folded('Reshape', [row, integers([2], -1, 2)]), null);
  assert.is(folded('Add', [row, integers([2], 1, 2)]), null);
  assert.is(folded('Expand', [row, integers([2], 2 ** 40, 3)]), null);
  assert.is(folded('ConstantOfShape', [integers([2], 2 ** 20, 2 ** 20)]), null);
  assert.is(folded('Range', [integers([], 0), integers([], 2 ** 40), integers([], 1)]), null);
});

const int = (value: number): OnnxAttribute => ({ type: 'int', value });
const ints = (...value: number[]): OnnxAttribute => ({ type: 'ints', value });
function model(
  type: string,
  attributes: Record<string, OnnxAttribute>,
  more: Partial<OnnxModel> = {},
): OnnxModel {
  const node = {
    name: 'n',
    type,
    domain: '',
    inputs: ['x', 'w'],
    outputs: ['y'],
    attributes: new Map(Object.entries(attributes)),
  };
  const bytes = new Uint8Array(Float32Array.from({ length: 27 }, (_, i) => i).buffer);
  return {
    producer: '',
    opset: 17,
    name: '',
    nodes: [node],
    initializers: [{ name: 'w', shape: [1, 3, 3, 3], type: 'float32', bytes: () => bytes }],
    inputs: [{ name: 'x', type: 'float32', shape: ['N', 3, 8, 8] }],
    outputs: [{ name: 'y', type: 'float32', shape: null }],
    ...more,
  };
}

test('a node that Caffe cannot express is refused by name, with the reason', () => {
  const one = (
    type: string,
    attributes: Record<string, OnnxAttribute>,
    inputs: string[],
  ): Partial<OnnxModel> => ({
    nodes: [{ ...model(type, attributes).nodes[0]!, inputs }],
  });
  const window = { kernel_shape: ints(3, 3), strides: ints(2, 2) };
  const cases: [OnnxModel, RegExp][] = [
    [
      model('Conv', { pads: ints(0, 0, 1, 1), dilations: ints(2, 2) }),
      /node "n" \(Conv\): pads are 0, 0, 1, 1, .*Caffe pads both sides equally/,
    ],
    [model('Conv', { pads: ints(1, 1) }), /expected four numbers/],
    [model('Conv', { group: int(2) }), /group 2 does not divide/],
    [
      model('Conv', { strides: { type: 'string', value: '2' } }),
      /attribute strides is a string, expected ints/,
    ],
    [
      model('AveragePool', {
        ...window,
        pads: ints(1, 1, 1, 1),
        ceil_mode: int(1),
        count_include_pad: int(1),
      }),
      /count_include_pad 1 divides by the kernel/,
    ],
    [model('MaxPool', { ...window, dilations: ints(2, 2) }), /dilations 2, 2/],
    [
      model('MaxPool', {
        kernel_shape: ints(5, 5),
        strides: ints(3, 3),
        pads: ints(0, 0, 4, 4),
        ceil_mode: int(1),
      }),
      /no pad and round_mode of Caffe/,
    ],
    [model('Softmax', {}, { opset: 11 }), /computes one softmax over 3×8×8/],
    [model('Det', {}), /Caffe has no layer for it here \(converted are Abs, Add,/],
    [
      model('Add', {}, one('Add', {}, ['x', 'nothing'])),
      /input 1 \("nothing"\) is not the output of a node before it/,
    ],
    [model('Add', {}), /inputs differ: x is 1×3×8×8, w is 1×3×3×3/],
    [model('Relu', {}, { opset: 6 }), /written in opset 6; export it again/],
    [
      model('Relu', {}, { inputs: [{ name: 'x', type: 'float32', shape: ['N', 3, 'H', 'W'] }] }),
      /--input-shape x=1x3x224x224/,
    ],
    [
      model('Relu', {}, { inputs: [{ name: 'x', type: 'float16', shape: [1, 3, 8, 8] }] }),
      /expected float32/,
    ],
    [
      model('Relu', {}, { nodes: [{ ...model('Relu', {}).nodes[0]!, domain: 'com.microsoft' }] }),
      /an operator of "com.microsoft"/,
    ],
    [
      model('Relu', {}, { outputs: [{ name: 'z', type: 'float32', shape: null }] }),
      /output "z" comes from a node that did not/,
    ],
    [
      model('Reshape', {}, { initializers: [integerConstant('w', [2], [5, 7])] }),
      /192 values and cannot become 5×7/,
    ],
  ];
  for (const [each, message] of cases)
    assert.throws(
      () => fromOnnx(each, { file: 'a.onnx' }),
      (error: unknown) => {
        assert.instance(error, WeightsError, String(error));
        assert.match((error as Error).message, message);
        assert.match((error as Error).message, /^a\.onnx: /);
        return true;
      },
    );
  const doubled = Array.from({ length: 60 }, (_, i) => ({
    ...model('Concat', { axis: int(0) }).nodes[0]!,
    inputs: [`w${i}`, `w${i}`],
    outputs: [`w${i + 1}`],
  }));
  const reshape = { ...model('Reshape', {}).nodes[0]!, inputs: ['x', 'w60'] };
  const bomb = model(
    'Reshape',
    {},
    {
      nodes: [...doubled, reshape],
      initializers: [integerConstant('w0', [1], [1])],
    },
  );
  assert.throws(() => fromOnnx(bomb, { file: 'a.onnx' }), /\(Concat\): input 0 \("w10"\) is a constant/);
  const batch = { ...model('BatchNormalization', {}).nodes[0]!, inputs: ['x', 'w', 'w', 'w', 'w'] };
  assert.throws(
    () => fromOnnx(model('', {}, { nodes: [batch] }), { file: 'a.onnx' }),
    /its weights are 1×3×3×3, a layer of this kind needs 3/,
  );
  fromOnnx(model('Relu', {}, { inputs: [{ name: 'x', type: 'float32', shape: null }] }), {
    file: 'a.onnx',
    inputShapes: { x: [1, 3, 8, 8] },
  });
});

test('weights beside the model are read only from its own folder', () => {
  const whole = readFileSync(join(fixtures, 'external.onnx'));
  const data = readFileSync(join(fixtures, 'external.bin'));
  const [model, values] = [join(folder, 'external.onnx'), join(folder, 'external.bin')];
  const write = (location: string, bytes: Uint8Array) => {
    assert.is(location.length, 'external.bin'.length);
    writeFileSync(model, Buffer.from(whole.toString('latin1').replace('external.bin', location), 'latin1'));
    writeFileSync(values, bytes);
  };
  write('external.bin', data);
  const [blob] = readOnnxFile(model).weights.layers[0]!.blobs;
  assert.equal(blob!.shape, [5, 3, 33, 33]);
  assert.is(Buffer.compare(blob!.bytes, data.subarray(0, blob!.bytes.length)), 0);
  for (const [location, bytes, message] of [
    ['../ernal.bin', data, /outside the folder/],
    ['a/../../.bin', data, /outside the folder/],
    ['/etc/hosts..', data, /outside the folder/],
    ['external.non', data, /cannot be read; keep it beside/],
    ['external.bin', data.subarray(0, 100), /has 100 bytes, but the model reads 0 to 65340/],
    ['external.bin', data.subarray(0, 0), /has 0 bytes|cannot be read/],
  ] as const) {
    write(location, bytes);
    assert.throws(
      () => readOnnxFile(model),
      (error: unknown) => error instanceof WeightsError && message.test(error.message),
      location,
    );
  }
});

test('a layer works in place only if it is the only reader of a value that is not an output', () => {
  const relu = (name: string, bottom: string, top: string) => ({
    name,
    type: 'ReLU',
    bottom: [bottom],
    top: [top],
  });
  const layers = [
    { name: 'in', type: 'Input', top: ['x'] },
    relu('of an input', 'x', 'a'),
    relu('alone', 'a', 'b'),
    relu('of two', 'b', 'c'),
    relu('the other', 'b', 'd'),
    relu('of an output', 'd', 'e'),
    { name: 'a copy', type: 'Split', bottom: ['e'], top: ['f'] },
  ];
  const tops = (outputs: string[]) =>
    runInPlace(layers, new Set(outputs)).map(
      ({ name, bottom, top }) => `${name}: ${bottom ?? ''}→${top ?? ''}`,
    );
  assert.equal(tops(['c', 'd', 'f']), [
    'in: →x',
    'of an input: x→b',
    'alone: b→b',
    'of two: b→c',
    'the other: b→d',
    'of an output: d→f',
  ]);
  assert.equal(tops(['c', 'e', 'f']).slice(4), ['the other: b→e', 'of an output: e→e', 'a copy: e→f']);
  assert.is(tops(['f']).at(-1), 'silence: c→');
});

test('a length that is negative as an int64 is refused, and does not lead backwards', () => {
  // Field 7 with length −11: it would return to its own first byte for ever.
  const bytes = Buffer.from('3af5ffffffffffffffff01', 'hex');
  assert.throws(
    () => readOnnx(bytes, { file: 'a.onnx' }),
    (error: unknown) => error instanceof WeightsError && error.code === 'weights/truncated',
  );
});

test('files truncated at every percent, and damaged files, give typed errors or a net', () => {
  let refused = 0;
  let read = 0;
  const attempt = (bytes: Uint8Array, what: string) => {
    try {
      fromOnnx(readOnnx(bytes, { file: 'a.onnx' }), { file: 'a.onnx' });
      read++;
    } catch (error) {
      assert.instance(error, ResnodeError, `${what}: ${(error as Error).stack}`);
      refused++;
    }
  };
  const random = seededRandom(6);
  for (const name of ['torch-basic', 'torch-bottleneck-dynamic', 'zoo-v2', 'assorted']) {
    const whole = readFileSync(join(fixtures, `${name}.onnx`));
    for (let percent = 0; percent < 100; percent++) {
      const cut = whole.subarray(0, Math.floor((whole.length * percent) / 100));
      assert.throws(
        () => fromOnnx(readOnnx(cut, { file: 'a.onnx' }), { file: 'a.onnx' }),
        (error: unknown) => error instanceof ResnodeError,
        `${name} at ${percent}%`,
      );
    }
    for (let i = 0; i < 400; i++) {
      const damaged = Buffer.from(whole);
      for (let hits = 0; hits < 1 + (i % 3); hits++)
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      attempt(damaged, `${name}, change ${i}`);
    }
  }
  assert.ok(refused > 200 && read > 100, `${refused} refused, ${read} read`);
});

test.run();
