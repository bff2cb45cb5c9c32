/**
 * Caffe's net surgery: `node surgery.mjs MODEL_FOLDER IMAGE OUT`. The classifier becomes a fully convolutional net: its
 * InnerProduct becomes a 1×1 Convolution with the same weights, so one run classifies every position of a larger image.
 * Then its weights are changed by hand. The result is written as files that Caffe reads, too.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  blobFromFloats,
  openDevice,
  printPrototxt,
  readCaffemodel,
  readNetFile,
  saveCaffemodel,
  toFloat32,
} from 'resnode';
import { decodeImage, loadPreprocess, preprocessImage, readLabels, readModelFolder } from 'resnode/images';

const [base, image, out] = process.argv.slice(2);
if (base === undefined || image === undefined || out === undefined) {
  console.error('usage: node surgery.mjs MODEL_FOLDER IMAGE OUT');
  process.exit(2);
}
const files = readModelFolder(base);
const [model, weights, labels, preprocess] = [files.model, files.weights, files.labels, files.preprocess].map(String);
if (!model || !weights || !labels || !preprocess) throw new Error(`${base} lacks a file`);

// 1. The net. A NetParameter is plain data with Caffe's names.
const net = readNetFile(model);
const features = 7; // the global average of a ResNet covers 7×7
/** @type {string | undefined} */
let head;
const layer = (net.layer ?? []).map((old) => {
  // The global average becomes one over each window of its former size.
  if (old.type === 'Pooling' && old.pooling_param?.global_pooling)
    return { ...old, pooling_param: { pool: 'AVE', kernel_size: features, stride: 1 } };
  if (old.type !== 'InnerProduct') return old;
  const { inner_product_param: parameter, ...rest } = old;
  head = `${old.name}-conv`;
  // It gets another name, as in Caffe's notebook, because weights are matched by name.
  const convolution = { num_output: parameter?.num_output ?? 0, kernel_size: [1] };
  return { ...rest, name: head, type: 'Convolution', convolution_param: convolution };
});
const surgery = { ...net, name: `${net.name}-conv`, layer };

// 2. The weights. A file's layers have blobs, which consist of a shape and values.
const file = readCaffemodel(readFileSync(weights), { file: weights });
const layers = file.layers.map(({ name, type, blobs }) => {
  if (`${name}-conv` !== head) return { name, type, blobs };
  const [kernel, bias] = blobs;
  if (kernel === undefined || bias === undefined) throw new Error(`${name} has no bias`);
  const [outputs = 0, inputs = 0] = kernel.shape.slice(-2).map(Number);
  // Changed by hand: the first class will never be found.
  const shifted = toFloat32(bias).map((value, i) => (i === 0 ? value - 100 : value));
  return {
    name: head,
    type: 'Convolution',
    blobs: [blobFromFloats([outputs, inputs, 1, 1], toFloat32(kernel)), blobFromFloats([outputs], shifted)],
  };
});
await mkdir(out, { recursive: true });
await writeFile(join(out, 'model.prototxt'), printPrototxt(surgery));
await saveCaffemodel(join(out, 'model.caffemodel'), { name: surgery.name, layers });

// 3. A larger image, and a class for every position of it.
const prepared = loadPreprocess(preprocess);
const side = 2 * prepared.crop.width;
const large = { width: side, height: side };
const channels = 1;
const pixels = await preprocessImage(
  await decodeImage(image),
  { ...prepared, resize: large, crop: large },
  channels,
);
const device = await openDevice('cpu');
const loaded = await device.load(out, { inputShapes: { data: [1, channels, side, side] }, outputs: ['prob'] });
const { prob } = await loaded.run({ data: pixels });
const [, classes = 0, height = 0, width = 0] = prob.shape;
const names = readLabels(labels, classes);
const area = height * width;
for (let y = 0; y < height; y++) {
  const row = Array.from({ length: width }, (_, x) => {
    const scores = Array.from({ length: classes }, (_, k) => prob.data[k * area + y * width + x] ?? 0);
    return names[scores.indexOf(Math.max(...scores))];
  });
  console.log(row.join(' | '));
}
loaded.dispose();
device.dispose();
