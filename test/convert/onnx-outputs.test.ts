/** The ends of detectors: a model is cut before a NonMaxSuppression, unless resnode itself wrote it for a layer. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert, readOnnxFile, writeOnnxFile } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { fromOnnx } from '../../ts/convert/from-onnx.ts';
import { floatConstant, integerConstant } from '../../ts/convert/onnx-constants.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '../../ts/convert/onnx-proto.ts';
import { onnxChunks } from '../../ts/convert/onnx-write.ts';
import { toOnnx } from '../../ts/convert/to-onnx.ts';
import { ArgumentError, graphFromCaffe, openDevice, readNet, WeightsError } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { goldenFolder, repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-outputs-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

const PRIORS = 40;
const CLASSES = 3;
const [OVERLAP, SCORE] = [0.2, 0.5];

/** Boxes and scores of an image, and NonMaxSuppression's selection, as exporters write them. */
function detector(): Uint8Array[] {
  const constants: OnnxTensor[] = [];
  const integers = (...values: number[]) => {
    constants.push(integerConstant(`i${constants.length}`, [values.length], values));
    return constants.at(-1)!.name;
  };
  const number = (value: number) => {
    constants.push(floatConstant(`f${constants.length}`, [], [value]));
    return constants.at(-1)!.name;
  };
  const nodes: OnnxNode[] = [];
  const emit = (
    type: string,
    inputs: string[],
    output: string,
    attributes: Record<string, OnnxAttribute> = {},
  ) => {
    nodes.push({
      name: output,
      type,
      domain: '',
      inputs,
      outputs: [output],
      attributes: new Map(Object.entries(attributes)),
    });
    return output;
  };
  const part = (name: string, from: number, to: number) =>
    emit('Slice', ['x', integers(from), integers(to), integers(1)], name);
  const list = (...value: number[]): OnnxAttribute => ({ type: 'ints', value });
  const axis: OnnxAttribute = { type: 'int', value: 1 };
  const [at, half] = [part('at', 0, 2), part('half', 2, 4)];
  const corners = emit(
    'Concat',
    [emit('Sub', [at, half], 'low'), emit('Add', [at, half], 'high')],
    'corners',
    { axis },
  );
  emit('Transpose', [corners], 'boxes', { perm: list(0, 2, 1) });
  emit('Sigmoid', [part('logits', 4, 4 + CLASSES)], 'scores');
  const kept = emit(
    'NonMaxSuppression',
    ['boxes', 'scores', integers(PRIORS), number(OVERLAP), number(SCORE)],
    'kept',
  );
  emit('Cast', [kept], 'indices', { to: { type: 'int', value: 1 } });
  return [
    ...onnxChunks({
      producer: '',
      opset: 17,
      name: 'detector',
      nodes,
      initializers: constants,
      inputs: [{ name: 'x', type: 'float32', shape: [1, 4 + CLASSES, PRIORS] }],
      outputs: [{ name: 'indices', type: 'float32', shape: null }],
    }),
  ];
}
writeFileAtomically(path('net.onnx'), detector());

const random = seededRandom(5);
const x = Float32Array.from({ length: (4 + CLASSES) * PRIORS }, (_, i) => {
  const row = Math.floor(i / PRIORS);
  return row < 2 ? random() : row < 4 ? 0.05 + 0.2 * random() : 4 * random() - 2;
});

test('a NonMaxSuppression is refused, with how to end the net before it', () => {
  assert.throws(
    () => readOnnxFile(path('net.onnx')),
    (error: Error) =>
      error instanceof WeightsError &&
      /node "kept".*--outputs boxes,scores.*docs\/converting\.md/.test(error.message),
  );
});

test('the net ends at the requested values, which ONNX Runtime computes, too', async () => {
  const { check, files } = await convert(path('net.onnx'), path('cut.caffemodel'), {
    outputs: ['boxes', 'scores'],
  });
  assert.ok(check!.ok);
  assert.match(check!.source, /onnxruntime/);
  assert.equal(check!.differences.map(({ name }) => name).sort(), ['boxes', 'scores']);
  assert.not.match(readFileSync(files[1]!, 'utf8'), /NonMax|indices/);
});

/** The layers that docs/converting.md adds to such a net. */
const documented = (): string => {
  const page = readFileSync(join(repositoryFolder, 'docs/converting.md'), 'utf8');
  return /```protobuf\n(layer[\s\S]*?)```/.exec(page)![1]!;
};

test('followed by the layers of docs/converting.md, it finds what NonMaxSuppression selects', async () => {
  const run = spawnSync(
    process.execPath,
    [...COMMAND, 'convert', 'net.onnx', '--out', 'found.caffemodel', '--outputs', 'boxes,scores'],
    { encoding: 'utf8', cwd: folder },
  );
  assert.is(run.status, 0, run.stderr);
  const layers = documented()
    .replace(/num_classes: \d+/, `num_classes: ${CLASSES}`)
    .replace(/tiles: \d+/, `tiles: ${CLASSES}`)
    .replace(/nms_threshold: [\d.]+/, `nms_threshold: ${OVERLAP}`)
    .replace(/confidence_threshold: [\d.]+/, `confidence_threshold: ${SCORE}`);
  writeFileSync(path('whole.prototxt'), `${readFileSync(path('found.prototxt'), 'utf8')}${layers}`);
  using device = await openDevice('cpu', { threads: 1 });
  using model = await device.load({ model: path('whole.prototxt'), weights: path('found.caffemodel') });
  const { detections } = await model.run({ x });
  const runtime = await onnxRuntime(path('net.onnx'));
  if (runtime === null) return console.log('skipped: onnxruntime-node is not installed');
  const { indices } = await runtime.run({ x: { shape: [1, 4 + CLASSES, PRIORS], data: x } });
  await runtime.dispose();
  const kept = Array.from({ length: indices!.length / 3 }, (_, i) => [
    ...indices!.subarray(3 * i, 3 * i + 3),
  ]);
  const candidates = x.slice(4 * PRIORS).filter((logit) => logit > 0).length;
  assert.ok(kept.length > 5 && kept.length < candidates * 0.9, `${kept.length} of ${candidates}`);
  const value = (row: number, box: number) => x[row * PRIORS + box]!;
  const expected = kept.map(([, label, box]) => [
    label!,
    1 / (1 + Math.exp(-value(4 + label!, box!))),
    ...[0, 1].map((i) => value(i, box!) - value(2 + i, box!)),
    ...[0, 1].map((i) => value(i, box!) + value(2 + i, box!)),
  ]);
  const rows = Array.from({ length: detections!.data.length / 7 }, (_, i) => [
    ...detections!.data.subarray(7 * i + 1, 7 * i + 7),
  ]);
  const inOrder = (list: number[][]) => list.sort((a, b) => a[0]! - b[0]! || b[1]! - a[1]!);
  assert.is(rows.length, expected.length);
  inOrder(expected).forEach((row, i) =>
    row.forEach((each, j) =>
      assert.ok(Math.abs(each - inOrder(rows)[i]![j]!) < 1e-5, `row ${i}: ${inOrder(rows)[i]}, not ${row}`),
    ),
  );
});

test('a net with a DetectionOutput becomes ONNX that ONNX Runtime checks, and is read back unchanged', async () => {
  const { check, files } = await convert(path('found.caffemodel'), path('found.onnx'), {
    model: path('whole.prototxt'),
  });
  assert.equal(files, [path('found.onnx')]);
  assert.ok(check!.ok, JSON.stringify(check!.largest));
  assert.match(check!.result, /onnxruntime/);
  const { net } = readOnnxFile(path('found.onnx'));
  const last = net.layer!.find(({ top }) => top?.[0] === 'detections')!;
  assert.equal([last.name, last.type], ['detections', 'DetectionOutput']);
  const { nms_param, confidence_threshold, ...rest } = last.detection_output_param!;
  assert.equal(rest, {
    num_classes: CLASSES,
    background_label_id: -1,
    keep_top_k: 100,
    share_location: false,
    code_type: 'CORNER',
    variance_encoded_in_target: true,
  });
  const { nms_threshold } = nms_param as { nms_threshold: number };
  assert.equal([nms_threshold, confidence_threshold], [OVERLAP, SCORE].map(Math.fround));
});

/** Two images of a RefineDet, whose boxes are moved twice. */
const REFINEDET = `layer { name: "in" type: "Input" top: "loc" top: "conf" top: "priors" top: "objects" top: "moves"
  input_param { shape { dim: 2 dim: 80 } shape { dim: 2 dim: 60 } shape { dim: 1 dim: 2 dim: 80 } shape { dim: 2 dim: 40 } shape { dim: 2 dim: 80 } } }
layer { name: "found" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "priors" bottom: "objects" bottom: "moves" top: "found"
  detection_output_param { num_classes: 3 code_type: CENTER_SIZE objectness_score: 0.1 keep_top_k: 9 confidence_threshold: 0.01 nms_param { nms_threshold: 0.45 top_k: 8 } } }`;

test("RefineDet's DetectionOutput for two images is read back, with its moved boxes as the layers that compose them", async () => {
  const net = readNet(REFINEDET, { file: 'refinedet.prototxt' });
  writeOnnxFile(path('refinedet.onnx'), { net, weights: { file: '', name: '', layers: [] } });
  const back = readOnnxFile(path('refinedet.onnx'));
  assert.is(back.net.layer!.filter(({ type }) => type === 'DetectionOutput').length, 1);
  using device = await openDevice('cpu', { threads: 1 });
  using whole = await device.load({ model: net });
  using again = await device.load({ model: back.net, weights: back.weights });
  const draw = (count: number) => Float32Array.from({ length: count }, () => random());
  const corners = Float32Array.from({ length: 80 }, (_, i) =>
    i % 4 < 2 ? 0.4 * random() : 0.5 + 0.5 * random(),
  );
  const inputs = {
    loc: draw(160),
    conf: draw(120),
    priors: Float32Array.from([...corners, ...new Float32Array(80).fill(0.1)]),
    objects: draw(80),
    moves: draw(160),
  };
  const { found } = await whole.run(inputs);
  assert.ok(found!.data.length > 7 * 10, `${found!.data.length / 7} rows`);
  assert.equal([...(await again.run(inputs)).found!.data], [...found!.data]);
});

test('nodes that differ from a DetectionOutput in one constant or one input are not a DetectionOutput', () => {
  const net = readNet(REFINEDET, { file: 'refinedet.prototxt' });
  const model = toOnnx(graphFromCaffe(net), () => assert.unreachable() as never);
  const refuses = (changed: OnnxModel) =>
    assert.throws(() => fromOnnx(changed, { file: 'changed.onnx' }), /NonMaxSuppression.*--outputs/);
  fromOnnx(model, { file: 'same.onnx' });
  const labels = model.initializers.find(({ type, shape }) => type === 'float32' && shape.join() === '2')!;
  const turned = floatConstant(labels.name, [2], [2, 1]);
  refuses({ ...model, initializers: model.initializers.map((each) => (each === labels ? turned : each)) });
  const kept = model.nodes.findLast(({ type }) => type === 'NonMaxSuppression')!;
  const [boxes, scores, ...limits] = kept.inputs as [string, string, string];
  const swapped = { ...kept, inputs: [scores, boxes, ...limits] };
  refuses({ ...model, nodes: model.nodes.map((each) => (each === kept ? swapped : each)) });
});

test('a Faster R-CNN is checked with its image size as im_info, so that it proposes regions', async () => {
  const golden = goldenFolder();
  if (golden === null) return console.log('skipped: no golden data');
  const at = (name: string) => join(golden, 'forks/mini_faster_rcnn', name);
  const { check } = await convert(at('weights.caffemodel'), path('regions.onnx'), {
    model: at('net.prototxt'),
  });
  assert.ok(check!.ok, JSON.stringify(check!.largest));
  assert.ok(check!.differences.length > 0);
});

test('a value that no node makes is refused with the most similar name, and so are outputs for another format', async () => {
  assert.throws(
    () => readOnnxFile(path('net.onnx'), { outputs: ['boxs'] }),
    (error: Error) =>
      error instanceof WeightsError &&
      /no node of the model produces "boxs"; did you mean "boxes"/.test(error.message),
  );
  try {
    await convert(path('cut.caffemodel'), path('other.safetensors'), { outputs: ['boxes'] });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, /outputs.*only ONNX/);
  }
  assert.not.ok(existsSync(path('other.safetensors')));
});

test.run();
