/** The inputs of the engines for a training step: one net, with the same numbers in every form, and it learns. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../../ts/caffe/caffemodel.ts';
import { SGD_UPDATE } from '../../../ts/device/plan-training.ts';
import { openDevice } from '../../../ts/index.ts';
import { asTraining, benchNet } from '../../../ts/tools/bench/nets.ts';
import { prepare } from '../../../ts/tools/bench/prepare.ts';
import { readFloats } from '../../../ts/tools/bench/read-floats.ts';

const BATCH = 4;
const folder = mkdtempSync(join(tmpdir(), 'resnode-prepare-'));
test.after(() => rmSync(folder, { recursive: true }));
const [arithmetic] = prepare(asTraining(benchNet('CIFAR-20')), [BATCH], folder, 'TRAIN');

const file = (suffix: string) => join(folder, `CIFAR-20${suffix}`);
const floats = (suffix: string) => readFloats(file(suffix));
interface TorchGraph {
  readonly parameters: readonly { shape: number[]; lrMult: number; offset: number; count: number }[];
  readonly nodes: readonly { operation: { kind: string } }[];
}
const graph = JSON.parse(readFileSync(file('.graph.json'), 'utf8')) as TorchGraph;

test("a step's arithmetic is three times that of a run, minus the gradient of the image", () => {
  // Widths 16, 32 and 64 on 32×32, 16×16 and 8×8: a convolution is 9·16²·32² unless it doubles the width.
  const convolution = 9 * 16 ** 2 * 32 ** 2;
  const first = 9 * 3 * 16 * 32 ** 2;
  const run = first + 16 * convolution + 2 * (convolution / 2) + 64 * 10;
  assert.equal(arithmetic, { written: BATCH * (3 * run - first), rewritten: BATCH * (3 * run - first) });
});

test("torch's file has Caffe's weights, batch statistics and a loss, and learns everything except the statistics", () => {
  const weights = floats('.weights.f32');
  const blobs = readCaffemodel(readFileSync(file('.caffemodel')), { file: '' }).layers.flatMap(
    (layer) => layer.blobs,
  );
  assert.is(blobs.length, graph.parameters.length);
  for (const [i, { offset, count }] of graph.parameters.entries())
    assert.equal(weights.slice(offset, offset + count), Float32Array.from(toFloat32(blobs[i]!)), `blob ${i}`);
  const kinds = graph.nodes.map(({ operation }) => operation.kind);
  const count = (kind: string) => kinds.filter((each) => each === kind).length;
  assert.equal([count('batchNorm'), count('softmaxLoss'), count('accuracy')], [19, 1, 0]);
  // Three blobs of each BatchNorm.
  assert.is(graph.parameters.filter(({ lrMult }) => lrMult === 0).length, 3 * 19);
});

test('the CPU device and the reference take the same steps from these files, and the loss falls', async () => {
  const labels = floats(`-${BATCH}.labels.f32`);
  assert.ok(labels.every((label) => Number.isInteger(label) && label >= 0 && label < 10));
  const losses = async (kind: 'cpu' | 'reference') => {
    await using device = await openDevice(kind, { threads: 2 });
    await using trainer = await device.train({
      model: file('.prototxt'),
      weights: file('.caffemodel'),
      batch: BATCH,
      update: SGD_UPDATE,
    });
    const found: number[] = [];
    for (let iteration = 0; iteration < 3; iteration++) {
      const inputs = { data: floats(`-${BATCH}.f32`), label: labels };
      found.push((await trainer.step(inputs, { rate: 1e-3, iteration })).loss!.data[0]!);
    }
    return found;
  };
  const [actual, expected] = [await losses('cpu'), await losses('reference')];
  for (const [i, loss] of actual.entries())
    assert.ok(Math.abs(loss / expected[i]! - 1) < 1e-3, `${actual} ${expected}`);
  assert.ok(actual[2]! < actual[1]! && actual[1]! < actual[0]!, `${actual}`);
});

test.run();
