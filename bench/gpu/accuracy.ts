/**
 * A trained ResNet-18 on 100 photographs: the top class and the probabilities at each precision, compared with the CPU
 * device at float32 (or the GPU's float32 if oneDNN is not installed). Prints a line of JSON per precision. Exits with
 * status 1 if a top class differs. For int8, which is calibrated on every fifth photograph, up to two more or fewer may
 * be right.
 *
 *   tsx bench/gpu/accuracy.ts SHARED [DEVICE]    SHARED holds models/imagenet-resnet18 and data/imagenet-samples
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, type Preprocess, preprocessImage, readLabels } from '../../ts/api/images.ts';
import type { DeviceKind } from '../../ts/device/device.ts';
import { type Device, openDevice, readNetFile } from '../../ts/index.ts';
import { calibrate } from '../../ts/quantize/calibrate.ts';
import { type ForwardPrecision, PRECISIONS } from './case.ts';

const [shared = '../shared', kind = 'cuda'] = process.argv.slice(2);
const folder = join(shared, 'data/imagenet-samples');
const preprocess: Preprocess = {
  resize: { shorterSide: 256 },
  crop: { width: 224, height: 224 },
  mean: [103.53, 116.28, 123.675],
};
const files = readdirSync(folder).filter((name) => name.endsWith('.JPEG'));
const truths = readLabels(join(shared, 'data/synset_words.txt')).map((label) => label.split(' ')[0]);
const images: Float32Array[] = [];
for (const file of files)
  images.push(await preprocessImage(await decodeImage(join(folder, file)), preprocess, 3));

const load = {
  model: join(shared, 'models/imagenet-resnet18/deploy.prototxt'),
  weights: join(shared, 'models/imagenet-resnet18/model.caffemodel'),
};

async function calibrated(device: Device) {
  const inputs = images.filter((_, i) => i % 5 === 0).map((data) => ({ data }));
  return { calibration: await calibrate(device, { ...load, model: readNetFile(load.model) }, inputs) };
}

async function classify(device: Device, precision: ForwardPrecision): Promise<Float32Array[]> {
  const quantised = precision === 'int8' ? await calibrated(device) : {};
  using model = await device.load({ ...load, ...quantised, batch: 1, precision });
  const [input] = Object.keys(model.inputs);
  const results: Float32Array[] = [];
  for (const data of images) results.push(Object.values(await model.run({ [input!]: data }))[0]!.data);
  return results;
}

const top = (probabilities: Float32Array) => probabilities.indexOf(Math.max(...probabilities));

using device = await openDevice(kind as DeviceKind, { tune: false });
const cpu = await openDevice('cpu').catch(() => null);
const expected = await classify(cpu ?? device, 'float32');
const beside = cpu === null ? "this GPU's float32" : "the CPU's float32";
cpu?.dispose();
const rightOf = (results: readonly Float32Array[]) =>
  files.filter((file, i) => file.startsWith(`${truths[top(results[i]!)]}_`)).length;
for (const precision of device.kind === 'cuda'
  ? ([...PRECISIONS, 'int8'] as const)
  : (['float32'] as const)) {
  const actual = await classify(device, precision);
  const differing = files.flatMap((file, i) => {
    const [ours, theirs] = [top(actual[i]!), top(expected[i]!)];
    const margin = expected[i]![theirs]! - expected[i]![ours]!;
    return ours === theirs ? [] : [{ file, ours, theirs, margin }];
  });
  const right = rightOf(actual);
  const worst = actual.reduce(
    (most, values, i) =>
      values.reduce((more, value, j) => Math.max(more, Math.abs(value - expected[i]![j]!)), most),
    0,
  );
  const summary = `${precision}: ${files.length - differing.length} of ${files.length} the same class as ${beside}, ${right} right, probabilities within ${worst.toExponential(1)}`;
  console.log(JSON.stringify({ precision, right, worst, differing, summary }));
  const isAsExpected =
    precision === 'int8' ? Math.abs(right - rightOf(expected)) <= 1 : differing.length === 0;
  if (!isAsExpected) process.exitCode = 1;
}
