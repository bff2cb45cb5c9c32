/** Data layers as sources: their batches, their order, and what they refuse. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import h5wasm from 'h5wasm/node';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { filterNet, readNet } from '../../ts/caffe/net-parameter.ts';
import type { Augment } from '../../ts/data/augment.ts';
import type { DataLayerOptions } from '../../ts/data/layer-context.ts';
import { writeMeanImage } from '../../ts/data/mean-image.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { type NetDataOptions, openNetData } from '../../ts/data/open-net-data.ts';
import type { ReaderSpec } from '../../ts/data/reader.ts';
import type { Batch, DataSource } from '../../ts/data/source.ts';
import { WorkerPool } from '../../ts/data/worker-pool.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/data/fixtures');
const folder = () => mkdtempSync(join(tmpdir(), 'resnode-'));
const layerOf = (text: string) => readNet(`layer { name: "d" ${text} }`, { file: 'net.prototxt' }).layer![0]!;
// One thread, unless a test needs more: starting one from source takes half a second.
const open = (text: string, options: Partial<DataLayerOptions> = {}) =>
  openDataLayer(layerOf(text), { phase: 'TRAIN', folder: fixtures, workers: 1, ...options });
const data = (source: string, batch: number, more = '') =>
  `type: "Data" top: "data" top: "label" data_param { source: "${source}" backend: LMDB batch_size: ${batch} } ${more}`;
const take = async (source: DataSource, count: number): Promise<Batch[]> => {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) batches.push(await source.next());
  await source.dispose();
  return batches;
};
const values = (batches: Batch[], top: string) => batches.flatMap((batch) => [...batch[top]!]);
const refused = async (work: Promise<unknown>, code: string, message: RegExp) => {
  const error = await work.then(
    () => assert.unreachable(`${code} ${message}`),
    (thrown: unknown) => thrown,
  );
  assert.instance(error, DataError, String((error as Error).stack));
  assert.is((error as DataError).code, code);
  assert.match((error as Error).message, message);
};
const sorted = (list: number[]) => [...list].sort((a, b) => a - b);

const enough = new Error('enough');
/** A signal that keeps the process alive, unlike AbortSignal.timeout. */
const after = (milliseconds: number): AbortSignal => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(enough), milliseconds);
  return controller.signal;
};

test('Data returns records in the order of their keys, again and again, across batches', async () => {
  const source = await open(data('raw.lmdb', 40));
  assert.equal(source.shapes, { data: [40, 3, 4, 5], label: [40] });
  assert.is(source.epochSize, 100);
  const batches = await take(source, 5);
  assert.equal(
    values(batches, 'label'),
    Array.from({ length: 200 }, (_, i) => i % 10),
  );
  assert.equal(
    values(batches, 'data').filter((_, i) => i % 60 === 1),
    Array.from({ length: 200 }, (_, i) => ((i % 100) * 7 + 3) % 256),
  );
  assert.ok(source.waited > 0);
});

test('encoded records are decoded to B, G, R, like a raw record of the same picture', async () => {
  const source = await open(data('encoded.lmdb', 2));
  const [batch] = await take(source, 1);
  assert.is(batch!.data!.length, 2 * 6000);
  assert.equal(batch!.data!.slice(0, 6000), batch!.data!.slice(6000));
  const grey = await open(data('encoded.lmdb', 1, 'transform_param { force_gray: true }'));
  assert.equal(grey.shapes.data, [1, 1, 40, 50]);
  const [first] = await take(grey, 1);
  const expected = 0.299 * 40 + 0.587 * 5 * 7 + 0.114 * 200;
  assert.ok(Math.abs(first!.data![10 * 50 + 7]! - expected) < 0.51);
});

test('a record of another size than the first one is refused with its key', async () => {
  const source = await open(data('encoded.lmdb', 3));
  await refused(
    source.next(),
    'data/size',
    /layer "d": .*encoded\.lmdb.*"00000002_grey\.png": has 1 channels/,
  );
  await refused(source.next(), 'data/size', /00000002_grey/);
  await source.dispose();
  const forced = await open(data('encoded.lmdb', 3, 'transform_param { force_color: true }'));
  const batch = await forced.next();
  assert.equal(batch.data!.slice(12000, 14000), batch.data!.slice(14000, 16000));
  await forced.dispose();
});

test('float_data and a single top are supported', async () => {
  const source = await open(
    'type: "Data" top: "x" data_param { source: "floats.lmdb" batch_size: 2 } transform_param { scale: 2 }',
  );
  assert.equal(source.shapes, { x: [2, 2, 1, 3] });
  assert.equal([...(await take(source, 1))[0]!.x!], [0, 0.5, 1, 1.5, 2, 2.5, 2, 2.5, 3, 3.5, 4, 4.5]);
});

test('two ranks read the records of one rank, each its own; in TEST each reads all', async () => {
  const labels = async (rank: number, ranks: number, phase: 'TRAIN' | 'TEST' = 'TRAIN') =>
    values(await take(await open(data('raw.lmdb', 7), { rank, ranks, phase }), 30), 'data').filter(
      (_, i) => i % 60 === 0,
    );
  const both = [await labels(0, 2), await labels(1, 2)];
  const alone = values(await take(await open(data('raw.lmdb', 7)), 60), 'data').filter(
    (_, i) => i % 60 === 0,
  );
  assert.equal(
    alone,
    Array.from({ length: 420 }, (_, i) => both[i % 2]![Math.floor(i / 2)]),
  );
  assert.equal(await labels(1, 2, 'TEST'), alone.slice(0, 210));
});

test('with shuffle every epoch has every record once, each epoch in another order, the same for the same seed', async () => {
  const read = async (seed: number) =>
    values(
      await take(await open(data('raw.lmdb', 20), { seed, augment: { shuffle: true } }), 15),
      'data',
    ).filter((_, i) => i % 60 === 0);
  const stream = await read(5);
  const all = sorted(Array.from({ length: 100 }, (_, i) => (i * 7) % 256));
  const epochs = [0, 1, 2].map((epoch) => stream.slice(epoch * 100, (epoch + 1) * 100));
  for (const epoch of epochs) assert.equal(sorted(epoch), all);
  assert.is.not(epochs[0]!.join(), epochs[1]!.join());
  assert.is.not(epochs[1]!.join(), epochs[2]!.join());
  assert.equal(await read(5), stream);
  assert.is.not((await read(6)).join(), stream.join());
});

const augmented = data('raw.lmdb', 16, 'transform_param { crop_size: 4 mirror: true }');
const augment = { shuffle: true, pad: 2, lighting: {}, shorterSide: [4, 9] as [number, number] };

test('the same seed gives the same bits for any number of workers', async () => {
  const one = await take(await open(augmented, { augment, workers: 1 }), 20);
  const three = await take(await open(augmented, { augment, workers: 3 }), 20);
  assert.equal(three, one);
  const other = await take(await open(augmented, { augment, seed: 2 }), 1);
  assert.not.equal(other[0]!.data, one[0]!.data);
});

test('random positions and colours have the same bits for any number of workers, and need a crop_size', async () => {
  const random: Augment = {
    ...{ resizedCrop: {}, affine: { rotation: 20, shear: 5 } },
    ...{ jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }, cutout: { size: 2 } },
  };
  const one = await take(await open(augmented, { augment: random, workers: 1 }), 8);
  const three = await take(await open(augmented, { augment: random, workers: 3 }), 8);
  assert.equal(three, one);
  assert.not.equal(one[1]!.data, one[0]!.data);
  await refused(
    open(data('raw.lmdb', 1), { augment: { resizedCrop: {} } }),
    'data/layer',
    /needs a crop_size/,
  );
});

/** Each batch is copied and returned before the next one is requested. */
async function takeRecycled(source: DataSource, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  const given: Batch[] = [];
  for (let i = 0; i < count; i++) {
    const batch = await source.next();
    batches.push(Object.fromEntries(Object.entries(batch).map(([top, array]) => [top, array.slice()])));
    given.push(batch);
    source.recycle!(batch);
  }
  await source.dispose();
  assert.is(given[0]!.data!.length, 0, 'its memory was not filled again');
  return batches;
}

test('batches that are given back are filled again, with the same bits', async () => {
  const cases: [string, Partial<DataLayerOptions>][] = [
    [augmented, { augment }],
    [augmented.replace('mirror: true', 'mirror: true mean_value: 3 scale: 0.1'), { augment: { pad: 3 } }],
    ['type: "Data" top: "data" data_param { source: "floats.lmdb" batch_size: 3 }', {}],
    [
      'type: "DummyData" top: "data" dummy_data_param { shape { dim: 9 } data_filler { type: "gaussian" } }',
      {},
    ],
    [hdf5('batch_size: 5 shuffle: true', 'top: "data"'), { folder: await hdf5Files([3, 4], 'data') }],
  ];
  for (const [text, options] of cases)
    assert.equal(
      await takeRecycled(await open(text, options), 20),
      await take(await open(text, options), 20),
    );
});

test('a batch is given back once, and to the source that returned it', async () => {
  const source = await open(data('raw.lmdb', 10));
  const batch = await source.next();
  const recycle = async (given: Batch) => source.recycle!(given);
  await refused(recycle({ ...batch }), 'data/batch', /a batch that next\(\) returned/);
  source.recycle!(batch);
  await refused(recycle(batch), 'data/batch', /and only once/);
  const transferred = await source.next();
  structuredClone(transferred.data, { transfer: [transferred.data!.buffer as ArrayBuffer] });
  source.recycle!(transferred);
  for (let i = 0; i < 9; i++) assert.is((await source.next()).data!.length, 600);
  await source.dispose();
});

test('a source resumes from a state with the same bits, whatever was read ahead', async () => {
  const whole = await take(await open(augmented, { augment }), 20);
  const first = await open(augmented, { augment });
  for (let i = 0; i < 9; i++) await first.next();
  const state = JSON.parse(JSON.stringify(first.state()));
  await first.dispose();
  const second = await open(augmented, { augment, seed: 77 });
  second.restore(state);
  assert.equal(second.state(), state);
  assert.equal(await take(second, 11), whole.slice(9));
});

test('a state of another source, or one that comes late, is refused', async () => {
  const source = await open(data('raw.lmdb', 4));
  const restore = async (state: unknown) => source.restore(state);
  await refused(restore({ kind: 'images' }), 'data/state', /give what state\(\) returned/);
  await refused(restore(null), 'data/state', /lmdb/);
  const state = { ...(source.state() as object), count: 99 };
  await refused(restore(state), 'data/state', /an epoch had 99 samples; here it has 100/);
  await source.next();
  await refused(restore(source.state()), 'data/state', /before the first next/);
  await source.dispose();
});

test('an aborted call consumes no batch', async () => {
  const source = await open(data('raw.lmdb', 10));
  const controller = new AbortController();
  const waiting = source.next(controller.signal);
  const reason = new Error('enough');
  controller.abort(reason);
  assert.is(await waiting.catch((error: unknown) => error), reason);
  assert.is(await source.next(controller.signal).catch((error: unknown) => error), reason);
  assert.is((source.state() as { position: number }).position, 0);
  assert.equal(values(await take(source, 1), 'data')[0], 0);
});

test('two calls at once, and calls after dispose, are refused', async () => {
  const source = await open(data('raw.lmdb', 10));
  const first = source.next();
  await refused(source.next(), 'data/busy', /await it first/);
  await first;
  await source.dispose();
  await source.dispose();
  await refused(source.next(), 'data/disposed', /disposed/);
});

test('dispose rejects pending calls while it reads ahead, and ends', async () => {
  const source = await open(augmented.replace('batch_size: 16', 'batch_size: 4000'), { augment });
  const waiting = source.next();
  const [outcome] = await Promise.all([waiting.catch((error: DataError) => error.code), source.dispose()]);
  assert.is(outcome, 'data/disposed');
  assert.not(process.getActiveResourcesInfo().includes('MessagePort'), 'a thread is left');
});

test('a thread that dies gives the waiting caller an error, and does not end the process', async () => {
  const pool = new WorkerPool({ kind: 'lmdb', path: '/proc/self/nothing' } as ReaderSpec, 'd');
  await refused(pool.describe({ index: 0, seed: 0 }), 'data/not-found', /layer "d": .*nothing/);
  const dying = new WorkerPool({ kind: 'none' } as unknown as ReaderSpec, 'd');
  await refused(dying.describe({ index: 0, seed: 0 }), 'data/worker', /layer "d": /);
  await Promise.all([pool.close(), dying.close()]);
  await refused(pool.describe({ index: 0, seed: 0 }), 'data/disposed', /disposed/);
});

test('a process that forgets to dispose ends nevertheless, even while decoding', () => {
  const script = `
    import { openDataLayer } from ${JSON.stringify(join(repositoryFolder, 'ts/data/open-data-layer.ts'))};
    import { readNet } from ${JSON.stringify(join(repositoryFolder, 'ts/caffe/net-parameter.ts'))};
    const [layer] = readNet(\`layer { name: "d" ${data('encoded.lmdb', 2).replaceAll('"', '"')} }\`, { file: '' }).layer;
    const source = await openDataLayer(layer, { phase: 'TRAIN', folder: ${JSON.stringify(fixtures)}, workers: 2 });
    console.log((await source.next()).label.length);`;
  const run = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd: repositoryFolder,
    timeout: 300_000,
  });
  assert.is(run.stdout, '2\n', run.stderr);
  assert.is(run.status, 0, run.stderr);
});

async function imageFolder(count: number): Promise<string> {
  const root = folder();
  for (let i = 0; i < count; i++)
    await sharp({
      create: { width: 8, height: 6, channels: 3, background: { r: i, g: 100 + i, b: 200 + i } },
    })
      .png()
      .toFile(join(root, `a ${i}.png`));
  writeFileSync(
    join(root, 'list.txt'),
    Array.from({ length: count }, (_, i) => `a ${i}.png ${i}\n`).join(''),
  );
  return root;
}
const imageData = (more: string, rest = '') =>
  `type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" ${more} } ${rest}`;

test('ImageData reads its list as B, G, R, and wraps around', async () => {
  const root = await imageFolder(5);
  const source = await open(imageData('batch_size: 3'), { folder: root });
  assert.equal(source.shapes, { data: [3, 3, 6, 8], label: [3] });
  assert.is(source.epochSize, 5);
  const batches = await take(source, 3);
  assert.equal(values(batches, 'label'), [0, 1, 2, 3, 4, 0, 1, 2, 3]);
  assert.equal(
    [0, 48, 96].map((at) => batches[1]!.data![at]),
    [203, 103, 3],
  );
});

test('ImageData resizes, converts to grey, crops, prepends root_folder to names, and skips', async () => {
  const root = await imageFolder(5);
  const grey = await open(
    `type: "ImageData" top: "data" top: "label"
     image_data_param { source: "list.txt" root_folder: "./" new_height: 9 new_width: 7 is_color: false }
     transform_param { crop_size: 5 mean_value: 7 }`,
    { folder: root },
  );
  assert.equal(grey.shapes.data, [1, 1, 5, 5]);
  const [batch] = await take(grey, 1);
  for (const value of batch!.data!) assert.ok(Math.abs(value - (0.587 * 100 + 0.114 * 200 - 7)) < 1);
  const first = new Set<number>();
  for (let seed = 0; seed < 7; seed++) {
    const source = await open(imageData('batch_size: 1 rand_skip: 3'), { folder: root, seed });
    first.add((await take(source, 1))[0]!.label![0]!);
  }
  assert.equal(sorted([...first]), [0, 1, 2]);
});

test('ImageData shuffles at the start of every epoch', async () => {
  const root = await imageFolder(12);
  const labels = values(
    await take(await open(imageData('batch_size: 8 shuffle: true'), { folder: root }), 6),
    'label',
  );
  const epochs = [0, 1, 2, 3].map((epoch) => labels.slice(epoch * 12, (epoch + 1) * 12));
  for (const epoch of epochs)
    assert.equal(
      sorted(epoch),
      Array.from({ length: 12 }, (_, i) => i),
    );
  assert.is(new Set(epochs.map((epoch) => epoch.join())).size, 4);
});

test('an invalid list or image is reported with its line', async () => {
  const root = await imageFolder(2);
  const list = (text: string) => writeFileSync(join(root, 'list.txt'), text);
  const source = () => open(imageData('batch_size: 1'), { folder: root });
  await refused(
    open(imageData('batch_size: 1')),
    'data/not-found',
    /list\.txt: there is no such file or folder/,
  );
  list('\n');
  await refused(source(), 'data/list', /the list is empty/);
  list('a 0.png 0\na 1.png\n');
  await refused(source(), 'data/list', /list\.txt:2: expected "path label" .*found "a 1\.png"/);
  list('a 0.png 0\nmissing.png 1\n');
  const missing = await source();
  await missing.next();
  await refused(
    missing.next(),
    'image/not-found',
    /layer "d": list\.txt:2: .*missing\.png: there is no such file/,
  );
  await missing.dispose();
  writeFileSync(join(root, 'cut.png'), (await sharp(join(root, 'a 0.png')).toBuffer()).subarray(0, 60));
  list('cut.png 0\n');
  await refused(source(), 'image/unreadable', /list\.txt:1: .*cut\.png: cannot be decoded/);
  await sharp(join(root, 'a 1.png')).resize(9, 9).toFile(join(root, 'b.png'));
  list('a 0.png 0\nb.png 1\n');
  const mixed = await open(imageData('batch_size: 2'), { folder: root });
  await refused(mixed.next(), 'data/size', /list\.txt:2: .*b\.png: is 3×9×9, the first one 3×6×8/);
  await mixed.dispose();
  await refused(
    open(imageData('batch_size: 1', 'transform_param { crop_size: 7 }'), { folder: root }),
    'data/size',
    /list\.txt:1: .*a 0\.png: is 3×6×8, smaller than crop_size 7/,
  );
});

test('a record that is truncated, or lacks a requested label, is refused with its key', async () => {
  await refused(open(data('odd.lmdb', 1)), 'data/datum', /layer "d": .*odd\.lmdb.*record "0 cut"/);
  await refused(open(data('empty.lmdb', 1)), 'data/empty', /layer "d": .*no records/);
  const { openLmdb } = await import('../../ts/data/lmdb.ts');
  const { LmdbWriter } = await import('../../ts/data/write-lmdb.ts');
  const odd = openLmdb(join(fixtures, 'odd.lmdb'));
  const root = folder();
  const part = async (name: string, ...records: number[]) => {
    const writer = new LmdbWriter(join(root, name));
    for (const i of records) writer.add(odd.at(i).key, odd.at(i).value);
    await writer.finish();
  };
  await part('unlabelled', 2);
  await part('broken', 3);
  await part('larger', 5, 6);
  const unlabelled = await open(data('unlabelled', 1), { folder: root });
  await refused(unlabelled.next(), 'data/label', /record "2 no label": has no label/);
  await unlabelled.dispose();
  await refused(
    open(data('broken', 1), { folder: root }),
    'image/unreadable',
    /"3 no image": cannot be decoded/,
  );
  const larger = await open(data('larger', 2), { folder: root });
  await refused(larger.next(), 'data/size', /"6 larger": is 1×2×3, the first one 1×2×2/);
  await larger.dispose();
});

test('layers with missing or excess settings are refused', async () => {
  const cases: [string, RegExp][] = [
    ['type: "Data" top: "data" data_param { batch_size: 1 }', /no source/],
    ['type: "Data" top: "data" data_param { source: "raw.lmdb" }', /batch_size of at least 1/],
    ['type: "Data" data_param { source: "raw.lmdb" batch_size: 1 }', /0 tops/],
    [
      data('raw.lmdb', 1, 'transform_param { mean_file: "a" mean_value: 1 }'),
      /both mean_file and mean_value/,
    ],
    [data('raw.lmdb', 1, 'transform_param { force_color: true force_gray: true }'), /both force_color/],
    [
      'type: "ImageData" top: "d" top: "l" image_data_param { source: "x" new_height: 5 }',
      /give both new_height and new_width/,
    ],
    ['type: "WindowData" top: "d"', /window_data_param has no source/],
    ['type: "VideoData" top: "d"', /not a data layer that resnode reads/],
    [
      'type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 1 }',
      /needs batch_size, channels/,
    ],
    ['type: "Input" top: "d" input_param { shape { dim: 1 } }', /give an iterator of batches \(d\)/],
    [
      'type: "DummyData" top: "a" top: "b" dummy_data_param { shape {} shape {} shape {} }',
      /3 shapes; give one/,
    ],
  ];
  for (const [text, message] of cases) await refused(open(text), 'data/layer', message);
  await refused(open(data('raw.lmdb', 1), { augment: { pad: 4 } }), 'data/layer', /need a crop_size/);
  await refused(open(data('raw.lmdb', 1), { rank: 2, ranks: 2 }), 'data/layer', /rank 2 of 2/);
});

test('mean_file is read and checked', async () => {
  const root = folder();
  writeMeanImage(join(root, 'mean.binaryproto'), { shape: [3, 4, 5], data: new Float32Array(60).fill(2) });
  writeMeanImage(join(root, 'small.binaryproto'), { shape: [3, 4, 4], data: new Float32Array(48) });
  const of = (file: string) =>
    open(data('raw.lmdb', 1, `transform_param { mean_file: "${join(root, file)}" }`));
  assert.equal(
    (await take(await of('mean.binaryproto'), 1))[0]!.data!.slice(0, 3),
    Float32Array.of(-2, 1, 4),
  );
  await refused(of('small.binaryproto'), 'data/size', /needs a mean image of 3×4×5; mean_file has 3×4×4/);
});

async function hdf5Files(rows: number[], name = 'x'): Promise<string> {
  const root = folder();
  await h5wasm.ready;
  let at = 0;
  for (const [i, count] of rows.entries()) {
    const file = new h5wasm.File(join(root, `${i}.h5`), 'w');
    const x = Float32Array.from({ length: count * 2 }, (_, j) => at + Math.floor(j / 2) + (j % 2) / 2);
    file.create_dataset({ name, data: x, shape: [count, 2, 1] });
    file.create_dataset({
      name: 'y',
      data: Int32Array.from({ length: count }, (_, j) => at + j),
      shape: [count],
    });
    file.close();
    at += count;
  }
  writeFileSync(join(root, 'files.txt'), rows.map((_, i) => join(root, `${i}.h5\n`)).join(''));
  return root;
}
const hdf5 = (more: string, tops = 'top: "x" top: "y"') =>
  `type: "HDF5Data" ${tops} hdf5_data_param { source: "files.txt" ${more} }`;

test('HDF5Data returns the rows of all files, one dataset per top, including integers', async () => {
  const root = await hdf5Files([3, 4]);
  const source = await open(hdf5('batch_size: 5'), { folder: root });
  assert.equal(source.shapes, { x: [5, 2, 1], y: [5] });
  assert.is(source.epochSize, 7);
  const batches = await take(source, 2);
  assert.equal(values(batches, 'y'), [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]);
  assert.equal([...batches[0]!.x!], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]);
});

test('HDF5Data shuffles files and the rows in them', async () => {
  const root = await hdf5Files([20, 20, 20]);
  const stream = values(
    await take(await open(hdf5('batch_size: 20 shuffle: true'), { folder: root }), 6),
    'y',
  );
  for (const epoch of [stream.slice(0, 60), stream.slice(60)]) {
    assert.equal(
      sorted(epoch),
      Array.from({ length: 60 }, (_, i) => i),
    );
    // The rows of a file stay together, because one file is in memory at a time.
    for (const part of [0, 20, 40])
      assert.is(new Set(epoch.slice(part, part + 20).map((row) => Math.floor(row / 20))).size, 1);
  }
  assert.is.not(stream.slice(0, 60).join(), stream.slice(60).join());
});

test('HDF5 files that do not fit are named', async () => {
  const root = await hdf5Files([3]);
  await refused(
    open(hdf5('batch_size: 1', 'top: "z"'), { folder: root }),
    'data/hdf5',
    /0\.h5.*no dataset "z".*x, y/,
  );
  await refused(
    open(`${hdf5('batch_size: 1')} transform_param { scale: 2 }`, { folder: root }),
    'data/layer',
    /remove transform_param/,
  );
  writeFileSync(join(root, 'files.txt'), join(root, 'files.txt'));
  await refused(
    open(hdf5('batch_size: 1'), { folder: root }),
    'data/wrong-kind',
    /files\.txt: this is text; here an HDF5 file/,
  );
  await refused(open(hdf5('batch_size: 1')), 'data/not-found', /files\.txt/);
});

test('DummyData refills random tops, each with its own filler', async () => {
  const text = `type: "DummyData" top: "a" top: "b" dummy_data_param {
    shape { dim: 200 dim: 10 } shape { dim: 3 } data_filler { type: "gaussian" mean: 2 std: 3 } data_filler { value: 5 } }`;
  const source = await open(text);
  assert.equal(source.shapes, { a: [200, 10], b: [3] });
  assert.is(source.epochSize, null);
  const [first, second] = await take(source, 2);
  assert.equal([...first!.b!, ...second!.b!], [5, 5, 5, 5, 5, 5]);
  assert.not.equal(first!.a, second!.a);
  const mean = [...first!.a!].reduce((sum, value) => sum + value, 0) / 2000;
  assert.ok(Math.abs(mean - 2) < 0.35, `${mean}`);
  assert.equal((await take(await open(text), 2))[1], second);
  const old = await open(
    'type: "DummyData" top: "a" dummy_data_param { num: 2 channels: 3 height: 1 width: 4 }',
  );
  assert.equal(old.shapes, { a: [2, 3, 1, 4] });
  assert.equal([...(await take(old, 1))[0]!.a!], new Array(24).fill(0));
});

const input = 'type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 2 } shape { dim: 2 } }';
async function* counting(end = Infinity): AsyncGenerator<Batch> {
  for (let i = 0; i < end; i++) yield { x: new Float32Array(4).fill(i), y: Uint8Array.of(i, i) };
}

test("an iterator's batches are passed on, resumed, and refused if they do not fit or end", async () => {
  const source = await open(input, { iterator: counting() });
  assert.equal(source.shapes, { x: [2, 2], y: [2] });
  for (let i = 0; i < 3; i++) assert.is((await source.next()).x![0], i);
  const resumed = await open(input, { iterator: counting() });
  resumed.restore(JSON.parse(JSON.stringify(source.state())));
  assert.equal(resumed.state(), source.state());
  assert.is((await resumed.next()).x![0], 3);
  assert.is((resumed.state() as { position: number }).position, 4);
  await resumed.dispose();
  await refused(resumed.next(), 'data/disposed', /disposed/);
  const short = await open(input, { iterator: counting(1) });
  await short.next();
  await refused(short.next(), 'data/ended', /ended after 1 batches/);
  const memory =
    'type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 2 channels: 1 height: 3 width: 4 }';
  const wrong = await open(memory, { iterator: counting() });
  assert.equal(wrong.shapes, { d: [2, 1, 3, 4], l: [2] });
  await refused(wrong.next(), 'data/batch', /for "d"; expected d 2×1×3×4, l 2/);
  await refused(
    open(data('raw.lmdb', 1), { iterator: counting() }),
    'data/layer',
    /needs an Input or MemoryData/,
  );
});

test('an aborted call leaves the batch to the next one, and dispose does not wait for a generator', async () => {
  let release = () => {};
  async function* slow(): AsyncGenerator<Batch> {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    yield* counting();
  }
  const source = await open(input, { iterator: slow() });
  const waiting = source.next(after(20));
  assert.is(await waiting.catch((error: unknown) => error), enough);
  release();
  assert.is((await source.next()).x![0], 0);
  const stuck = await open(input, { iterator: slow() });
  assert.is(await stuck.next(after(20)).catch((error: unknown) => error), enough);
  await stuck.dispose();
});

const net = (text: string, options: Partial<NetDataOptions> = {}) =>
  openNetData(filterNet(readNet(text, { file: 'net.prototxt' }), { phase: 'TRAIN' }), {
    phase: 'TRAIN',
    folder: fixtures,
    ...options,
  });
const two = `layer { name: "d" ${data('raw.lmdb', 4)} include { phase: TRAIN } }
  layer { name: "test" ${data('nothing', 4)} include { phase: TEST } }
  layer { name: "more" type: "DummyData" top: "z" dummy_data_param { shape { dim: 2 } data_filler { type: "uniform" } } }
  layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }`;

test("a net's data layers are one source, which resumes as a whole", async () => {
  const source = await net(two);
  assert.equal(source.shapes, { data: [4, 3, 4, 5], label: [4], z: [2] });
  assert.is(source.epochSize, 100);
  const first = await source.next();
  assert.equal(Object.keys(first).sort(), ['data', 'label', 'z']);
  const state = JSON.parse(JSON.stringify(source.state()));
  const next = await source.next();
  await source.dispose();
  const resumed = await net(two);
  resumed.restore(state);
  assert.equal(await resumed.next(), next);
  await resumed.dispose();
});

test("a net's batches are given back to all its layers, if they all take them", async () => {
  const batches = await takeRecycled(await net(two), 10);
  assert.equal(batches, await take(await net(two), 10));
  const source = await net(two);
  await refused((async () => source.recycle!({}))(), 'data/batch', /that next\(\) returned/);
  await source.dispose();
  const own = await net(`${two} layer { name: "own" ${input} }`, { iterators: { own: counting() } });
  assert.is(own.recycle, undefined, "an iterator's batches are its own");
  await own.dispose();
});

test('a batch of one of two layers is not lost if a call is aborted', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  async function* slow(): AsyncGenerator<Batch> {
    await gate;
    yield* counting();
  }
  const text = `layer { name: "d" ${data('raw.lmdb', 4)} } layer { name: "i" ${input} }`;
  const source = await net(text, { iterators: { i: slow() } });
  const before = source.state();
  await source.next(after(300)).catch(() => {});
  assert.equal(source.state(), before);
  release();
  const batch = await source.next();
  assert.is(batch.data![0], 0);
  assert.is(batch.x![0], 0);
  await source.dispose();
});

test('a net without data, or with an iterator for no layer, is refused', async () => {
  await refused(net('name: "n" layer { name: "a" type: "ReLU" }'), 'data/layer', /net "n" has no data layer/);
  await refused(net(two, { iterators: { x: counting() } }), 'data/layer', /"x".*no such data layer/);
});

test('the event loop stays responsive while batches are made', async () => {
  const text = data('encoded.lmdb', 256, 'transform_param { crop_size: 32 mirror: true force_color: true }');
  const source = await open(text, { augment: { shorterSide: [64, 96] } });
  await source.next();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const batches = 6;
  for (let i = 0; i < batches; i++) await source.next();
  clearInterval(timer);
  await source.dispose();
  console.log(
    `figures: while ${batches} batches of 256 images were decoded, a timer of 5 ms fired ${ticks} times`,
  );
  // If this thread did the work, the timer would fire once per batch.
  assert.ok(ticks > 2 * batches, `${ticks} ticks`);
});

test.run();
