/** A calibration must belong to the net that uses it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrationOf, mergeAffine } from '../../ts/api/convert.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { calibratedNames, rangesOf } from '../../ts/compile/calibrated-values.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { ArgumentError, openDevice, readNet } from '../../ts/index.ts';
import { calibrate } from '../../ts/quantize/calibrate.ts';
import { cpuLibrary } from '../support/cpu-library.ts';

const convolution = (name: string, bottom: string, parameter = 'num_output: 8 kernel_size: 1') =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
    convolution_param { ${parameter} } }`;
const inPlace = (type: string, blob: string, parameter = '') =>
  `layer { name: "${blob}_${type}" type: "${type}" bottom: "${blob}" top: "${blob}" ${parameter} }`;
const affine = (blob: string) =>
  inPlace('BatchNorm', blob) + inPlace('Scale', blob, 'scale_param { bias_term: true }');
/**
 * Blocks, a Scale followed by a layer that is not fused, so that the name belongs to a range, and a pooling, a dropout
 * and groups before convolutions.
 */
const text = (name: string, blocks = 1) => {
  let from = 'first';
  let layers = `name: "${name}" layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 6 } } }
    ${convolution('first', 'data')} ${affine('first')} ${inPlace('ReLU', 'first')}`;
  for (let i = 1; i <= blocks; i++) {
    layers += `${convolution(`branch${i}`, from)} ${affine(`branch${i}`)}
      layer { name: "sum${i}" type: "Eltwise" bottom: "${from}" bottom: "branch${i}" top: "sum${i}" }`;
    from = `sum${i}`;
  }
  return `${layers} layer { name: "pool" type: "Pooling" bottom: "${from}" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "drop" type: "Dropout" bottom: "pool" top: "drop" }
    ${convolution('groups', 'drop', 'num_output: 8 kernel_size: 1 group: 8')} ${affine('groups')} ${inPlace('PReLU', 'groups')}
    ${convolution('last', 'groups', 'num_output: 4 kernel_size: 1 stride: 2')}`;
};
const net = (name = 'small', blocks = 1) => readNet(text(name, blocks), { file: `${name}.prototxt` });
const ranges = (of: ReturnType<typeof net>) =>
  Object.fromEntries(calibratedNames(graphFromCaffe(of)).map((name) => [name, 2]));
const calibration = (name: string, of: Readonly<Record<string, number>>) =>
  calibrationOf({ net: name, method: 'min-max', percentile: null, images: 1, ranges: of });
const graph = graphFromCaffe(net());

function refusal(name: string, of: Readonly<Record<string, number>>): string {
  try {
    rangesOf(graph, calibration(name, of));
  } catch (error) {
    assert.instance(error, ArgumentError);
    return (error as Error).message;
  }
  return assert.unreachable('it was accepted') as never;
}

test('a calibration of another net is refused, even if some of its blobs have the same names', () => {
  const message = refusal('large', ranges(net('large', 3)));
  assert.match(message, /one of this net, "small": make one with "resnode quantize" .*in code: calibrate/);
  assert.match(
    message,
    /one of the net large, with 2 of 7 ranges of blobs that the net does not have: sum2@sum2, sum3@sum3/,
  );
  assert.match(refusal('', { 'x@y': 1 }), /one of a net without a name, with 1 of 1 ranges/);
});

test('a convolution whose input is missing in the calibration is refused with its layer and blob', () => {
  const { 'sum1@sum1': _, ...rest } = { ...ranges(net()) };
  const { 'first@first_ReLU': __, ...lacking } = rest;
  assert.match(
    refusal('small', lacking),
    /without a range for the inputs of 1 convolutions: layer branch1 reads first@first_ReLU/,
  );
  assert.match(refusal('small', lacking), /a range of 0 excludes .* from int8/);
});

test('a range is 0 if a blob is always 0 or too small for a scale; none exceeds float32', () => {
  const whole = ranges(net());
  for (const [range, expected] of [
    [0, 0],
    [1e-300, 0],
    [1e-37, 0],
    [1e-35, 1e-35],
    [3e38, 3e38],
  ] as const) {
    const found = rangesOf(graph, calibration('small', { ...whole, 'first@first_ReLU': range }));
    assert.is(found.get('first@first_ReLU'), expected);
  }
  assert.match(
    refusal('small', { ...whole, 'first@first_ReLU': 1e300 }),
    /float32 holds.*1e\+300 for first@/,
  );
});

test('a calibration applies without a message to the net with a cut, other outputs, shapes and passes, and merged layers', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on('warning', note);
  await using device = await openDevice('cpu', { threads: 2, ...cpuLibrary });
  const layers = graph.parameters.map(({ layer }) => layer);
  const weights = {
    file: 'made up',
    name: 'small',
    layers: [...new Set(layers)].map((name) => ({
      name,
      type: '',
      blobs: graph.parameters
        .filter(({ layer }) => layer === name)
        .map(({ shape }) =>
          blobFromFloats(
            shape,
            Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 1 + (i % 3)),
          ),
        ),
    })),
  };
  const data = Float32Array.from({ length: 144 }, (_, i) => (i % 7) - 3);
  const written = await calibrate(device, { model: net(), weights }, [{ data }], { method: 'min-max' });
  const load = { model: net(), weights, precision: 'int8', calibration: written } as const;
  for (const options of [
    {},
    { outputs: ['branch1'] },
    { outputs: ['first@first', 'drop', 'sum1'] },
    { outputs: ['pool', 'last'] },
    { optimize: false },
    { inputShapes: { data: [3, 3, 12, 10] } },
  ]) {
    await using model = await device.load({ ...load, ...options });
    assert.ok(model.plan().operations.length > 0);
  }
  const merged = mergeAffine({ net: net(), weights });
  assert.is(merged.merged, 6);
  await using whole = await device.load(load);
  await using folded = await device.load({ ...load, model: merged.net, weights: merged.weights });
  const kinds = ({ operations }: ReturnType<typeof whole.plan>) =>
    operations.map(({ layer, implementation }) => `${layer} ${/int8?/.exec(implementation) ?? ''}`);
  assert.equal(kinds(folded.plan()), kinds(whole.plan()));
  const other = { ...written, net: 'renamed' };
  await new Promise(setImmediate);
  assert.equal(warnings, []);
  await using renamed = await device.load({ ...load, calibration: other });
  assert.ok(renamed);
  await new Promise(setImmediate);
  for (const size of [6, 9, 12])
    await renamed.run({ data: { shape: [1, 3, size, size], data: new Float32Array(3 * size * size) } });
  await new Promise(setImmediate);
  process.off('warning', note);
  assert.is(warnings.length, 1, 'other shapes are the same net');
  assert.match(warnings[0]!.message, /of the net "renamed".*those of "small"/);
});

test('the same convolutions run in int8 at sizes where SAME pads need a crop and where they do not', async () => {
  const filler = 'weight_filler { type: "xavier" }';
  const same = readNet(
    `name: "same" layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
    ${convolution('first', 'data', `num_output: 16 kernel_size: 1 ${filler}`)} ${inPlace('ReLU', 'first')}
    ${convolution('second', 'first', `num_output: 16 kernel_size: 3 stride: 2 pad_type: 1 ${filler}`)} ${inPlace('ReLU', 'second')}
    ${convolution('third', 'second', `num_output: 16 kernel_size: 1 ${filler}`)}`,
    { file: 'same.prototxt' },
  );
  const of = { 'first@first_ReLU': 1, 'second@second_ReLU': 2, 'third@third': 3 };
  const sized = (size: number) => ({
    data: {
      shape: [1, 3, size, size],
      data: Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i)),
    },
  });
  await using device = await openDevice('cpu', { threads: 2, ...cpuLibrary });
  const integers = (plan: { operations: readonly { layer: string; implementation: string }[] }) =>
    plan.operations.filter(({ implementation }) => implementation.includes('int8')).map(({ layer }) => layer);
  for (const [size, other] of [
    [9, 8],
    [8, 9],
  ] as const) {
    const load = {
      model: same,
      partialWeights: true,
      precision: 'int8',
      calibration: calibration('same', of),
    } as const;
    const shape = (of: number) => ({ inputShapes: { data: [1, 3, of, of] } });
    await using whole = await device.load({ ...load, ...shape(size) });
    await using fresh = await device.load({ ...load, ...shape(other) });
    assert.equal(integers(whole.plan()), integers(fresh.plan()));
    const [moved, expected] = [await whole.run(sized(other)), await fresh.run(sized(other))];
    assert.equal(moved.third!.shape, expected.third!.shape);
    assert.equal(moved.third!.data, expected.third!.data);
  }
});

test.run();
