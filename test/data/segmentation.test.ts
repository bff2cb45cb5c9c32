/** ImageSegData: an image and the classes of its pixels stay together, and a net like PSPNet learns from them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { plannedModel, writeTrainedModel } from '../../ts/cli/trained-model.ts';
import { readLabelMap } from '../../ts/data/label-map.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { encodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { openSegmenter } from '../../ts/images/segment/segmenter.ts';
import { graphFromCaffe, openDevice } from '../../ts/index.ts';
import { Solver } from '../../ts/train/solver.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-segmentation-'));
test.after(() => rmSync(folder, { recursive: true }));
const MEANS = [10, 20, 30];

/** A picture whose blue is 40 times the class, green the row and red the column, and the map of its classes. */
async function writePair(
  name: string,
  height: number,
  width: number,
  classOf: (y: number, x: number) => number,
) {
  const pixels = Buffer.alloc(height * width * 3);
  const map = new Uint8Array(height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      map[y * width + x] = classOf(y, x);
      pixels.set([x, y, 40 * classOf(y, x)], (y * width + x) * 3);
    }
  writeFileSync(
    join(folder, `${name}.ppm`),
    Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), pixels]),
  );
  writeFileSync(join(folder, `${name}.png`), await encodeIndexedPng(map, width, height));
}

const layerOf = (image: string, transform: string, tops = 'top: "data" top: "label" top: "dims"') =>
  readNet(
    `layer { name: "data" type: "ImageSegData" ${tops}
      transform_param { ${transform} ${MEANS.map((mean) => `mean_value: ${mean}`).join(' ')} }
      image_data_param { root_folder: "${folder}/" ${image} } }`,
    { file: join(folder, 'net.prototxt') },
  ).layer![0]!;

/** The classes, and the rows and columns in the picture, of a batch; in the padding, the mean, 0 and 0. */
async function batchOf(image: string, transform: string, phase: 'TRAIN' | 'TEST', seed = 1) {
  const source = await openDataLayer(layerOf(image, transform), { phase, seed, folder, workers: 1 });
  const batch = await source.next();
  const { data, label, dims } = batch;
  const [n, , height, width] = source.shapes.data as [number, number, number, number];
  assert.equal(source.shapes.label, [n, 1, height, width]);
  assert.equal(source.shapes.dims, [n, 1, 1, 2]);
  const plane = height * width;
  const pixels = Array.from({ length: n * plane }, (_, i) => {
    const at = Math.floor(i / plane) * 3 * plane + (i % plane);
    const [blue, green, red] = [0, 1, 2].map((c) => data![at + c * plane]! + MEANS[c]!);
    return { label: label![i]!, shown: blue! / 40, row: green!, column: red!, isMean: blue === MEANS[0] };
  });
  await source.dispose();
  return { pixels, height, width, dims: [...dims!] };
}

const list = (name: string, ...lines: string[]) => {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  return `source: "${join(folder, name)}"`;
};

await writePair('wide', 6, 9, (y, x) => (y + x) % 5);
const WIDE = list('wide.txt', 'wide.ppm wide.png');

test('in phase TEST the centre is cropped from an image and its classes', async () => {
  const { pixels, dims } = await batchOf(
    `${WIDE} label_type: PIXEL`,
    'crop_height: 4 crop_width: 5 mirror: false',
    'TEST',
  );
  assert.equal(dims, [4, 5]);
  pixels.forEach(({ label, shown, row, column }, i) => {
    assert.equal([row, column], [1 + Math.floor(i / 5), 2 + (i % 5)]);
    assert.is(label, (row + column) % 5);
    assert.is(shown, label);
  });
});

test('an image smaller than the crop is surrounded by the mean, and its classes by the ignored label', async () => {
  const { pixels, dims } = await batchOf(
    `${WIDE} label_type: PIXEL ignore_label: 200`,
    'crop_size: 10',
    'TEST',
  );
  assert.equal(dims, [6, 9]);
  pixels.forEach(({ label, row, column, isMean }, i) => {
    const [y, x] = [Math.floor(i / 10), i % 10];
    if (y < 6 && x < 9) assert.equal([label, row, column], [(y + x) % 5, y, x]);
    else assert.equal([label, isMean], [200, true]);
  });
});

test('in phase TRAIN crops and mirrors are random, and classes follow their pixels', async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed < 14; seed++) {
    const { pixels } = await batchOf(`${WIDE} label_type: PIXEL`, 'crop_size: 4 mirror: true', 'TRAIN', seed);
    for (const { label, shown, row, column } of pixels) {
      assert.is(label, (row + column) % 5);
      assert.is(shown, label);
    }
    const step = pixels[1]!.column - pixels[0]!.column;
    seen.add(`${pixels[0]!.row} ${Math.min(pixels[0]!.column, pixels[3]!.column)} ${step}`);
  }
  assert.ok(seen.size > 8 && [...seen].some((place) => place.endsWith('-1')), [...seen].join(', '));
});

test('a scale factor resizes both, and classes are never mixed', async () => {
  const { pixels } = await batchOf(`${WIDE} label_type: PIXEL`, 'crop_size: 12 scale_factors: 2', 'TEST');
  pixels.forEach(({ label }, i) => {
    const [y, x] = [Math.floor(i / 12), i % 12];
    // The middle 12 of 12×18.
    assert.is(label, (Math.floor(y / 2) + Math.floor((x + 3) / 2)) % 5);
  });
});

test('new_height and new_width resize both, and classes are never mixed', async () => {
  const sized = `${WIDE} label_type: PIXEL new_height: 12 new_width: 18`;
  const { pixels } = await batchOf(sized, '', 'TEST');
  pixels.forEach(({ label }, i) => {
    const [y, x] = [Math.floor(i / 18), i % 18];
    assert.is(label, (Math.floor(y / 2) + Math.floor(x / 2)) % 5);
  });
});

test('a whole image may have one class or none', async () => {
  const image = list('classes.txt', 'wide.ppm 3');
  const one = await batchOf(`${image} label_type: IMAGE`, '', 'TEST');
  assert.ok(one.pixels.every(({ label }) => label === 3));
  const none = await batchOf(`${list('alone.txt', 'wide.ppm')} label_type: NONE`, '', 'TEST');
  assert.ok(none.pixels.every(({ label }) => label === 255));
});

test('the shapes of a net come from its first image if its fields do not give them', async () => {
  const uncut = { layer: [layerOf(`${WIDE} label_type: PIXEL batch_size: 2`, '')] };
  assert.equal(await readInputShapes(uncut), { data: [2, 3, 6, 9], label: [2, 1, 6, 9], dims: [2, 1, 1, 2] });
  const graph = graphFromCaffe({ layer: [layerOf(`${WIDE} batch_size: 2`, 'crop_size: 4')] });
  assert.equal(
    graph.inputs.map((id) => graph.values[id]!.shape),
    [
      [2, 3, 4, 4],
      [2, 1, 4, 4],
      [2, 1, 1, 2],
    ],
  );
});

test('a list, a map or a parameter that does not fit is refused with its position', async () => {
  await writePair('small', 5, 9, () => 0);
  const refusal = async (image: string, transform = '', tops?: string) => {
    try {
      await openDataLayer(layerOf(image, transform, tops), { phase: 'TEST', folder });
    } catch (error) {
      if (error instanceof DataError) return error.message;
      throw error;
    }
    return assert.unreachable('it was accepted') as never;
  };
  const pixel = 'label_type: PIXEL';
  assert.match(
    await refusal(`${list('a.txt', 'wide.ppm')} ${pixel}`),
    /a\.txt:1: expected image and label map/,
  );
  assert.match(
    await refusal(`${list('e.txt', 'wide.ppm wide.png', 'my wide.ppm wide.png')} ${pixel}`),
    /e\.txt:2: expected image and label map and nothing after them, found 3 words.*paths have no spaces here/,
  );
  assert.match(
    await refusal(`${list('b.txt', 'wide.ppm small.png')} ${pixel}`),
    /small\.png: is 9×5, its image 9×6/,
  );
  assert.match(
    await refusal(`${list('c.txt', 'wide.ppm wide.ppm')} ${pixel}`),
    /expected a PNG with a palette, or grey/,
  );
  assert.match(
    await refusal(`${list('d.txt', 'wide.ppm none.png')} ${pixel}`),
    /none\.png: there is no such file/,
  );
  assert.match(
    await refusal(`${WIDE} ${pixel}`, 'mean_value: 1'),
    /give mean_value once or 3 times, not 4 times/,
  );
  assert.match(await refusal(`${WIDE} ${pixel}`, 'crop_height: 4'), /both crop_height and crop_width/);
  assert.match(await refusal(`${WIDE} ${pixel}`, 'scale_factors: 0'), /scale_factors must be above 0/);
  assert.match(await refusal(`${WIDE} ${pixel}`, '', 'top: "data"'), /has 1 tops/);
  const other = {
    ...layerOf(list('classed.txt', 'wide.ppm 1'), 'scale_factors: 2', 'top: "data" top: "label"'),
    type: 'ImageData',
  };
  await openDataLayer(other, { phase: 'TEST', folder }).then(
    () => assert.unreachable('it was accepted'),
    (error: Error) => assert.match(error.message, /scale_factors of DeepLab's fork/),
  );
});

const CLASSES = 3;
const NET = (source: string) => `name: "tiny"
layer { name: "data" type: "ImageSegData" top: "data" top: "label"
  transform_param { mirror: true crop_size: 17 scale: 0.02 ${MEANS.map((mean) => `mean_value: ${mean}`).join(' ')} scale_factors: 0.75 scale_factors: 1 scale_factors: 1.25 }
  image_data_param { ${source} root_folder: "${folder}/" batch_size: 4 shuffle: true label_type: PIXEL } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BN" bottom: "conv1" top: "bn" bn_param { slope_filler { type: "constant" value: 1 } bias_filler { type: "constant" value: 0 } } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "conv2" type: "Convolution" bottom: "bn" top: "conv2" convolution_param { num_output: 8 kernel_size: 3 pad: 2 dilation: 2 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "score" type: "Convolution" bottom: "conv2" top: "score" convolution_param { num_output: ${CLASSES} kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "up" type: "Interp" bottom: "score" top: "up" interp_param { zoom_factor: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" top: "loss" loss_param { ignore_label: 255 } }`;

test('a small net of dilated convolutions and Interp learns the halves of a picture, and is saved as a segmenter', async () => {
  const random = seededRandom(3);
  const lines: string[] = [];
  for (let i = 0; i < 8; i++) {
    const edge = 4 + Math.floor(12 * random());
    await writePair(`drawn${i}`, 20, 20, (y, x) => (x < edge ? 0 : y < 10 ? 1 : 2));
    lines.push(`drawn${i}.ppm drawn${i}.png`);
  }
  const net = join(folder, 'train.prototxt');
  writeFileSync(net, NET(list('drawn.txt', ...lines)));
  const solver = readSolver(
    `net: "${net}" base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 max_iter: 60 display: 1 snapshot_prefix: "${join(folder, 'tiny')}" random_seed: 1`,
    { file: join(folder, 'solver.prototxt') },
  );
  await using device = await openDevice('cpu', { threads: 2 });
  const losses: number[] = [];
  const wanted = { out: join(folder, 'trained'), solver, augment: undefined, labels: undefined };
  const planned = await plannedModel(wanted);
  for await (const event of new Solver({ solver, device }).run())
    if (event.type === 'iteration') losses.push(event.loss);
    else if (event.type === 'done') await writeTrainedModel(wanted, planned, event);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  assert.ok(mean(losses.slice(0, 5)) > 0.7, losses.slice(0, 5).join(', '));
  assert.ok(mean(losses.slice(-10)) < 0.25, losses.slice(-10).join(', '));
  // Pictures are read as in training, but whole.
  await using segmenter = await openSegmenter(wanted.out, { device });
  assert.equal(segmenter.preprocess, { resize: null, mean: MEANS, order: 'BGR', scale: Math.fround(0.02) });
  const found = await segmenter.segment(join(folder, 'drawn0.ppm'));
  const { map } = await readLabelMap(join(folder, 'drawn0.png'));
  if (found.kind !== 'classes') return assert.unreachable(found.kind);
  const right = found.map.filter((label, i) => label === map[i]).length;
  assert.ok(right > 0.85 * map.length, `${right} of ${map.length}`);
});

test('a net with a fixed size gets pictures surrounded by the mean, or resized', async () => {
  const plan = async (image: string) => {
    const net = join(folder, 'fixed.prototxt');
    // An Interp to a fixed size.
    const text = NET(`${WIDE} ${image}`).replace('zoom_factor: 2', 'height: 17 width: 17');
    writeFileSync(net, text);
    const solver = readSolver(`net: "${net}" base_lr: 0.05 lr_policy: "fixed" max_iter: 1`, {
      file: join(folder, 'fixed-solver.prototxt'),
    });
    const { preprocess } = await plannedModel({ out: '', solver, augment: undefined, labels: undefined });
    return preprocess;
  };
  const common = { mean: MEANS, scale: Math.fround(0.02) };
  const input = { width: 17, height: 17 };
  assert.equal(await plan(''), { ...common, resize: null, pad: input });
  const small = { width: 9, height: 12 };
  assert.equal(await plan('new_width: 9 new_height: 12'), { ...common, resize: small, pad: input });
  assert.equal(await plan('new_width: 17 new_height: 17'), { ...common, resize: input });
});

test.run();
