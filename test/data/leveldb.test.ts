/** LevelDB: what LevelDB 1.23 wrote as Caffe does is read and left alone, and what is damaged is refused. */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { datumOf } from '../../ts/data/database.ts';
import type { DataLayerOptions } from '../../ts/data/layer-context.ts';
import { LevelDb } from '../../ts/data/leveldb.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { DataError } from '../../ts/errors.ts';
import { repositoryFolder } from '../support/golden.ts';

// A folder of our own for what is made while a database is open.
process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'resnode-'));
test.after(() => rmSync(process.env.TMPDIR!, { recursive: true }));

const fixtures = join(repositoryFolder, 'test/data/fixtures');
const fixture = (name: string) => join(fixtures, `${name}.leveldb`);
const folder = () => mkdtempSync(join(tmpdir(), 'resnode-'));
const refused = async (work: () => Promise<unknown>, code: string, message: RegExp) => {
  const error = await work().then(
    () => assert.unreachable(`${code} ${message}`),
    (thrown: unknown) => thrown,
  );
  assert.instance(error, DataError, String((error as Error).stack));
  assert.is((error as DataError).code, code);
  assert.match((error as Error).message, message);
};
async function readAll(path: string) {
  const database = await LevelDb.open(path);
  try {
    const records: ReturnType<typeof datumOf>[] = [];
    for (let i = 0; i < database.count; i++) records.push(datumOf(await database.at(i), database.file));
    return records;
  } finally {
    await database.close();
  }
}
const open = (more: string, options: Partial<DataLayerOptions> = {}) => {
  const text = `layer { name: "d" type: "Data" top: "data" top: "label" data_param { batch_size: 40 ${more} } }`;
  const layer = readNet(text, { file: 'net.prototxt' }).layer![0]!;
  return openDataLayer(layer, { phase: 'TRAIN', folder: fixtures, ...options });
};
const batchesOf = async (more: string, options: Partial<DataLayerOptions> = {}) => {
  await using source = Object.assign(await open(more, options), {
    [Symbol.asyncDispose]: () => source.dispose(),
  });
  assert.is(source.epochSize, 100);
  return [await source.next(), await source.next(), await source.next()];
};
const mirrors = () => readdirSync(tmpdir()).filter((name) => name.startsWith('resnode-leveldb-'));

// make.py: byte j of record i is 7i + 3j, its label i mod 10.
const raw = (i: number) => Uint8Array.from({ length: 60 }, (_, j) => i * 7 + j * 3);

test('records of compressed tables and of the log come in the order of their keys, the last version of each', async () => {
  const records = await readAll(fixture('raw'));
  assert.is(records.length, 100);
  for (const [i, { key, datum }] of records.entries()) {
    assert.is(key, String(i).padStart(8, '0'));
    assert.equal([datum.channels, datum.height, datum.width, datum.label], [3, 4, 5, i % 10]);
    assert.equal(new Uint8Array(datum.data), raw(i));
  }
});

test('a record is found by its position, in any order', async () => {
  const database = await LevelDb.open(fixture('raw'));
  for (let i = 0; i < 100; i++) {
    const at = (i * 37 + 99) % 100;
    assert.equal(new Uint8Array(datumOf(await database.at(at), '').datum.data), raw(at));
  }
  await database.close();
});

test("the user's files stay as they are, and nothing is left behind", async () => {
  const root = folder();
  cpSync(fixture('raw'), root, { recursive: true });
  const state = () =>
    readdirSync(root).map((name) => {
      const { mtimeMs, ino } = statSync(join(root, name));
      return { name, mtimeMs, ino, bytes: readFileSync(join(root, name)).toString('hex') };
    });
  const before = state();
  await readAll(root);
  await batchesOf(`source: "${root}" backend: LEVELDB`);
  assert.equal(state(), before);
  assert.equal(mirrors(), []);
});

test('a Data layer gives what it gives of the same records as LMDB, shuffled too', async () => {
  for (const augment of [{}, { shuffle: true }])
    assert.equal(
      await batchesOf('source: "raw.leveldb" backend: LEVELDB', { augment }),
      await batchesOf('source: "raw.lmdb" backend: LMDB', { augment }),
    );
});

test('the backend that is written is taken at its word; where none is, what is there decides', async () => {
  assert.equal(await batchesOf('source: "raw.leveldb"'), await batchesOf('source: "raw.lmdb"'));
  await refused(
    () => open('source: "raw.lmdb" backend: LEVELDB'),
    'data/not-found',
    /layer "d": .*raw\.lmdb: this is an LMDB database; write backend: LMDB/,
  );
  await refused(
    () => open('source: "raw.leveldb" backend: LMDB'),
    'data/leveldb',
    /layer "d": .*raw\.leveldb: .*write backend: LEVELDB/,
  );
});

test('what is no database, or none with records, is refused with what to do', async () => {
  const root = folder();
  await refused(() => LevelDb.open('/nowhere'), 'data/not-found', /nowhere: there is no such folder/);
  await refused(() => LevelDb.open(root), 'data/not-found', /no CURRENT in it/);
  await refused(() => LevelDb.open(fixture('empty')), 'data/empty', /no records/);
  writeFileSync(join(root, 'CURRENT'), 'nonsense');
  await refused(() => LevelDb.open(root), 'data/leveldb', /LevelDB says: .*CURRENT/);
  assert.equal(mirrors(), []);
});

test('a database that lacks a file or is cut short is refused with the name that it has', async () => {
  const spoilt = async (spoil: (root: string) => void, message: RegExp) => {
    const root = folder();
    cpSync(fixture('raw'), root, { recursive: true });
    spoil(root);
    await refused(() => readAll(root), 'data/leveldb', message);
    assert.equal(mirrors(), []);
  };
  const missing = (name: string) => (root: string) => rmSync(join(root, name));
  await spoilt(missing('000005.ldb'), /missing files.*resnode-\w+\/000005\.ldb/);
  await spoilt(missing('MANIFEST-000009'), /LevelDB says: .*resnode-\w+\/MANIFEST-000009/);
  await spoilt((root) => truncateSync(join(root, '000005.ldb'), 3000), /LevelDB says/);
  await spoilt((root) => writeFileSync(join(root, 'MANIFEST-000009'), 'x'.repeat(200)), /LevelDB says/);
});

test.run();
