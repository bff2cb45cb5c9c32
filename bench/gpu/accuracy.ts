/**
 * A trained ResNet-18 on 100 photographs: the top class and the probabilities at each precision beside the CPU device
 * at float32 (the same GPU's float32 where oneDNN is not installed). Prints a line of JSON a precision; exit status 1 where a top class differs.
 *
 *   tsx bench/gpu/accuracy.ts SHARED [DEVICE]    SHARED holds models/imagenet-resnet18 and data/imagenet-samples
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, type Preprocess, preprocessImage, readLabels } from '../../ts/api/images.ts';
import type { DeviceKind } from '../../ts/device/device.ts';
import { type Device, openDevice } from '../../ts/index.ts';
import { PRECISIONS, type Precision } from './case.ts';

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

async function classify(device: Device, precision: Precision): Promise<Float32Array[]> {
  using model = await device.load({
    model: join(shared, 'models/imagenet-resnet18/deploy.prototxt'),
    weights: join(shared, 'models/imagenet-resnet18/model.caffemodel'),
    batch: 1,
    precision,
  });
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
for (const precision of device.kind === 'cuda' ? PRECISIONS : (['float32'] as const)) {
  const actual = await classify(device, precision);
  const differing = files.flatMap((file, i) => {
    const [ours, theirs] = [top(actual[i]!), top(expected[i]!)];
    const margin = expected[i]![theirs]! - expected[i]![ours]!;
    return ours === theirs ? [] : [{ file, ours, theirs, margin }];
  });
  const right = files.filter((file, i) => file.startsWith(`${truths[top(actual[i]!)]}_`)).length;
  const worst = actual.reduce(
    (most, values, i) =>
      values.reduce((more, value, j) => Math.max(more, Math.abs(value - expected[i]![j]!)), most),
    0,
  );
  const summary = `${precision}: ${files.length - differing.length} of ${files.length} the same class as ${beside}, ${right} right, probabilities within ${worst.toExponential(1)}`;
  console.log(JSON.stringify({ precision, right, worst, differing, summary }));
  if (differing.length > 0) process.exitCode = 1;
}
