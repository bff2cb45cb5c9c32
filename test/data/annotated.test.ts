/**
 * AnnotatedData of SSD's fork: its records, the random choices for each image, and that boxes stay with their objects.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { type Annotation, readAnnotatedDatum, writeAnnotatedDatum } from '../../ts/data/annotated-datum.ts';
import { writeDatum } from '../../ts/data/datum.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { RESIZE_MODES, resizeBy } from '../../ts/data/resize-modes.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { readNet } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-annotated-'));
test.after(() => rmSync(folder, { recursive: true }));

const [WIDTH, HEIGHT] = [50, 40];
const annotation = (label: number, box: readonly number[], more: Partial<Annotation> = {}): Annotation => ({
  label,
  instance: 0,
  difficult: false,
  xmin: box[0]! / WIDTH,
  ymin: box[1]! / HEIGHT,
  xmax: box[2]! / WIDTH,
  ymax: box[3]! / HEIGHT,
  ...more,
});

/** A dark picture in which each object is bright in its own channel: B, then G, then R. */
function record(objects: readonly Annotation[]): Buffer {
  const data = new Uint8Array(3 * HEIGHT * WIDTH);
  objects.forEach(({ xmin, ymin, xmax, ymax }, c) => {
    for (let y = Math.round(ymin * HEIGHT); y < Math.round(ymax * HEIGHT); y++)
      for (let x = Math.round(xmin * WIDTH); x < Math.round(xmax * WIDTH); x++)
        data[(c * HEIGHT + y) * WIDTH + x] = 250;
  });
  return writeAnnotatedDatum(
    writeDatum({ channels: 3, height: HEIGHT, width: WIDTH, data, label: 0 }),
    objects,
  );
}

async function database(name: string, records: readonly Buffer[]): Promise<string> {
  const path = join(folder, name);
  const writer = new LmdbWriter(path);
  records.forEach((value, i) => {
    writer.add(String(i).padStart(8, '0'), value);
  });
  await writer.finish();
  return path;
}

const two = [
  annotation(1, [5, 10, 20, 30]),
  annotation(3, [28, 4, 45, 36], { instance: 2, difficult: true }),
];
const pictures = await database('pictures', [record(two), record([]), record([two[1]!])]);

const layerOf = (param = '', more = '', source = pictures, batch = 3) =>
  readNet(
    `layer { name: "data" type: "AnnotatedData" top: "data" top: "label" data_param { source: "${source}" batch_size: ${batch} backend: LMDB }
    transform_param { ${param} } annotated_data_param { ${more} } }`,
    { file: 'net.prototxt' },
  ).layer![0]!;

async function batches(count: number, seed: number, ...layer: Parameters<typeof layerOf>) {
  const source = await openDataLayer(layerOf(...layer), { phase: 'TRAIN', seed });
  try {
    const made = [];
    for (let i = 0; i < count; i++) made.push(await source.next());
    return { shapes: source.shapes, made: made as { data: Float32Array; label: Float32Array }[] };
  } finally {
    await source.dispose();
  }
}
const rowsOf = (label: Float32Array) =>
  Array.from({ length: label.length / 8 }, (_, i) => [...label.subarray(8 * i, 8 * i + 8)]);

test('a record is read as it was written: its boxes by class, its pixels as a view', () => {
  const { datum, annotations } = readAnnotatedDatum(record(two), { file: 'f', key: 'k' });
  assert.equal([datum.channels, datum.height, datum.width], [3, HEIGHT, WIDTH]);
  assert.is(annotations!.length, 2);
  assert.ok(Math.abs(annotations![1]!.xmax - two[1]!.xmax) < 1e-6);
  assert.equal([annotations![1]!.label, annotations![1]!.instance, annotations![1]!.difficult], [3, 2, true]);
});

test('the label has a row per box: item, class, instance, sides, difficult; unused rows are −1', async () => {
  const { shapes, made } = await batches(1, 1);
  assert.equal(shapes, { data: [3, 3, HEIGHT, WIDTH], label: [1, 1, 3, 8] });
  const rows = rowsOf(made[0]!.label);
  assert.equal(
    rows.map(([place, label, instance, , , , , difficult]) => [place, label, instance, difficult]),
    [
      [0, 1, 0, 0],
      [0, 3, 2, 1],
      [2, 3, 2, 1],
    ],
  );
  // A batch of two has room for the two records with the most objects.
  const pairs = await batches(2, 1, '', '', pictures, 2);
  assert.equal(pairs.shapes.label, [1, 1, 3, 8]);
  assert.equal(
    rowsOf(pairs.made[0]!.label).map(([place]) => place),
    [0, 0, -1],
  );
  const net = readNet(
    `layer { name: "data" type: "AnnotatedData" top: "data" top: "label" data_param { source: "${pictures}" batch_size: 3 }
    transform_param { resize_param { height: 20 width: 30 } } }`,
    { file: 'net.prototxt' },
  );
  assert.equal(await readInputShapes(net), { data: [3, 3, 20, 30], label: [1, 1, 3, 8] });
});

const AUGMENTED = `mirror: true emit_constraint { emit_type: CENTER }
  resize_param { resize_mode: WARP height: 60 width: 60 ${RESIZE_MODES.map((mode) => `interp_mode: ${mode}`).join(' ')} }
  expand_param { prob: 0.5 max_expand_ratio: 2 }`;
const SAMPLED = `batch_sampler { max_sample: 1 max_trials: 1 }
  batch_sampler { sampler { min_scale: 0.4 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
    sample_constraint { min_jaccard_overlap: 0.3 } max_sample: 1 max_trials: 50 }
  batch_sampler { sampler { min_scale: 0.3 max_scale: 1 } sample_constraint { min_object_coverage: 0.9 } max_sample: 1 }`;

test('after random drawing, expanding, cropping, resizing and mirroring, a box is where its object is', async () => {
  const { made } = await batches(40, 3, AUGMENTED, SAMPLED, pictures, 1);
  let [seen, changed] = [0, 0];
  for (const { data, label } of made)
    for (const [place, of, , ...sides] of rowsOf(label)) {
      if (place === -1) continue;
      const c = [0, 3].includes(of!) ? 1 : 0;
      // In the third record the object is alone, and therefore the first.
      const channel = data.subarray(3600 * c, 3600 * (c + 1)).some((value) => value > 125) ? c : 0;
      const bright = [60, 60, 0, 0];
      for (let i = 0; i < 3600; i++) {
        if (data[3600 * channel + i]! < 125) continue;
        const [x, y] = [i % 60, Math.floor(i / 60)];
        bright[0] = Math.min(bright[0]!, x);
        bright[1] = Math.min(bright[1]!, y);
        bright[2] = Math.max(bright[2]!, x + 1);
        bright[3] = Math.max(bright[3]!, y + 1);
      }
      for (let side = 0; side < 4; side++)
        assert.ok(
          Math.abs(60 * sides[side]! - bright[side]!) < 4.5,
          `the object is at ${bright}, its box at ${sides.slice(0, 4).map((value) => (60 * value).toFixed(1))}`,
        );
      seen++;
      if (Math.abs(sides[0]! - two[of === 1 ? 0 : 1]!.xmin) > 0.05) changed++;
    }
  assert.ok(seen > 20 && changed > 10, `${seen} boxes, ${changed} of them moved`);
});

test('a seed draws the same batches, another seed others', async () => {
  const distort = `${AUGMENTED} distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
    hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.5 }`;
  const [one, again, other] = await Promise.all([7, 7, 8].map((seed) => batches(3, seed, distort, SAMPLED)));
  assert.equal(one!.made, again!.made);
  assert.is.not(
    one!.made.map(({ label }) => [...label].join()).join(),
    other!.made.map(({ label }) => [...label].join()).join(),
  );
});

test('images of one colour keep it in every mode of resizing', async () => {
  const flat = {
    data: new Uint8Array(3 * 7 * 9).fill(77),
    width: 9,
    height: 7,
    offsets: [2, 1, 0],
    rowStride: 27,
    pixelStride: 3,
  };
  for (const mode of RESIZE_MODES)
    for (const size of [
      { width: 4, height: 3 },
      { width: 20, height: 11 },
      { width: 20, height: 3 },
    ]) {
      const { data, width, height } = await resizeBy(flat, size, mode);
      assert.equal([width, height, data.length], [size.width, size.height, size.width * size.height * 3]);
      assert.ok(
        data.every((value) => value === 77),
        `${mode} to ${size.width}×${size.height}`,
      );
    }
});

for (const [param, message] of [
  ['noise_param { prob: 0.5 }', /noise_param is not supported/],
  ['crop_h: 10', /crop_h is not supported/],
  [
    'resize_param { height: 10 width: 10 resize_mode: FIT_SMALL_SIZE }',
    /resize_mode: FIT_SMALL_SIZE is not supported/,
  ],
  ['resize_param { height: 10 }', /needs height and width/],
  ['resize_param { height: 10 width: 10 } resize_param { height: 20 width: 20 }', /is given 2 times/],
  ['expand_param { max_expand_ratio: 0.5 }', /max_expand_ratio must be at least 1/],
] as const)
  test(`transform_param { ${param} } is refused by name`, async () => {
    try {
      await batches(1, 1, param);
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.instance(error, DataError);
      assert.match((error as Error).message, message);
    }
  });

test('a Data layer refuses the fields that only AnnotatedData has', async () => {
  const layer = { ...layerOf('resize_param { height: 10 width: 10 }'), type: 'Data' };
  try {
    await openDataLayer(layer, { phase: 'TRAIN' });
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.match((error as Error).message, /resize_param of SSD's fork is supported only by AnnotatedData/);
  }
});

test('a database of ordinary Datums is not AnnotatedData', async () => {
  const datum = writeDatum({ channels: 1, height: 2, width: 2, data: new Uint8Array(4), label: 3 });
  const plain = await database('plain', [datum]);
  try {
    await batches(1, 1, '', '', plain, 1);
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.match(
      (error as Error).message,
      /record "00000000".*not (a complete|an) AnnotatedDatum.*Data layer/,
    );
  }
});

test.run();
