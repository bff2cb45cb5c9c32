/** LevelDB: databases that LevelDB 1.23 wrote, as Caffe does, are read and not changed. Damaged ones are refused. */
import { execFileSync } from 'node:child_process';
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
import { DataError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { datumOf } from '../../ts/data/database.ts';
import type { DataLayerOptions } from '../../ts/data/layer-context.ts';
import { crc32c, maskedCrc } from '../../ts/data/leveldb/checked-bytes.ts';
import { LevelDb } from '../../ts/data/leveldb/leveldb.ts';
import { unpackSnappy } from '../../ts/data/leveldb/snappy.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { repositoryFolder } from '../support/golden.ts';

// A temporary folder of our own for what is created while a database is open.
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

// As in make.py: byte j of record i is 7i + 3j, its label i mod 10.
const raw = (i: number) => Uint8Array.from({ length: 60 }, (_, j) => i * 7 + j * 3);

test('records from compressed tables and from the log come in the order of their keys, with the last version of each', async () => {
  const records = await readAll(fixture('raw'));
  assert.is(records.length, 100);
  for (const [i, { key, datum }] of records.entries()) {
    assert.is(key, String(i).padStart(8, '0'));
    assert.equal([datum.channels, datum.height, datum.width, datum.label], [3, 4, 5, i % 10]);
    assert.equal(new Uint8Array(datum.data), raw(i));
  }
});

test('a record is found by its index, in any order', async () => {
  const database = await LevelDb.open(fixture('raw'));
  for (let i = 0; i < 100; i++) {
    const at = (i * 37 + 99) % 100;
    assert.equal(new Uint8Array(datumOf(await database.at(at), '').datum.data), raw(at));
  }
  await database.close();
});

test("the user's files are not changed, and nothing is left behind", async () => {
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

test('a Data layer returns the same as from the same records in LMDB, also shuffled', async () => {
  for (const augment of [{}, { shuffle: true }])
    assert.equal(
      await batchesOf('source: "raw.leveldb" backend: LEVELDB', { augment }),
      await batchesOf('source: "raw.lmdb" backend: LMDB', { augment }),
    );
});

test('a backend in the prototxt is used; without one, the existing files decide', async () => {
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

test('a path that is no database, or one without records, is refused with what to do', async () => {
  const root = folder();
  await refused(() => LevelDb.open('/nowhere'), 'data/not-found', /nowhere: there is no such folder/);
  await refused(() => LevelDb.open(root), 'data/not-found', /no CURRENT in it/);
  await refused(() => LevelDb.open(fixture('empty')), 'data/empty', /no records/);
  writeFileSync(join(root, 'CURRENT'), 'nonsense');
  await refused(() => LevelDb.open(root), 'data/leveldb', /CURRENT: it does not name a manifest/);
  assert.equal(mirrors(), []);
});

test('a database that lacks a file or is truncated is refused with its name', async () => {
  const spoilt = async (spoil: (root: string) => void, message: RegExp) => {
    const root = folder();
    cpSync(fixture('raw'), root, { recursive: true });
    spoil(root);
    await refused(() => readAll(root), 'data/leveldb', message);
    assert.equal(mirrors(), []);
  };
  const missing = (name: string) => (root: string) => rmSync(join(root, name));
  await spoilt(missing('000005.ldb'), /000005\.ldb: the table is missing/);
  await spoilt(missing('MANIFEST-000009'), /MANIFEST-000009: it cannot be opened \(ENOENT/);
  await spoilt(
    (root) => truncateSync(join(root, '000005.ldb'), 3000),
    /it does not end like a table: it is truncated/,
  );
  await spoilt(
    (root) => writeFileSync(join(root, 'MANIFEST-000009'), 'x'.repeat(200)),
    /MANIFEST-000009: byte 0: it ends in the middle of a record/,
  );
});

const descriptors = () => readdirSync('/proc/self/fd').length;

test('no damage ends the process, leaves a descriptor or a file behind, or goes unnoticed in a value', async () => {
  const seed = 1;
  const random = seededRandom(seed);
  const whole = await readAll(fixture('raw'));
  const open = descriptors();
  const root = folder();
  const names = readdirSync(fixture('raw'));
  const refusals = { refused: 0, taken: 0 };
  for (let i = 0; i < 200; i++) {
    cpSync(fixture('raw'), root, { recursive: true });
    const path = join(root, names[i % names.length]!);
    const bytes = readFileSync(path);
    for (let j = 0; j <= random() * 4; j++)
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    writeFileSync(path, random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes);
    try {
      const records = await readAll(root);
      refusals.taken++;
      // No checksum covers the space between blocks, and a log may be truncated between two records.
      for (const record of records)
        assert.ok(
          whole.some(({ key }) => key === record.key),
          `seed ${seed}, mutant ${i}`,
        );
    } catch (error) {
      assert.instance(error, DataError, `seed ${seed}, mutant ${i}: ${(error as Error).stack}`);
      refusals.refused++;
    }
  }
  assert.ok(refusals.refused > 100, JSON.stringify(refusals));
  assert.is(descriptors(), open);
  assert.equal(mirrors(), []);
});

/** A table with one block, in an index with correct checksums. */
function table(block: Buffer, type: number, keys = 1): Buffer {
  const sealed = (bytes: Buffer, kind: number) => {
    const body = Buffer.concat([bytes, Buffer.of(kind)]);
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(maskedCrc(body));
    return Buffer.concat([body, crc]);
  };
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
  const handle = (offset: number, size: number) => Buffer.from([...varint(offset), ...varint(size)]);
  const data = sealed(block, type);
  const key = Buffer.from('zzzzzzzz\x01\0\0\0\0\0\0\0', 'latin1');
  const value = handle(0, block.length);
  const entry = Buffer.concat([Buffer.of(0, key.length, value.length), key, value]);
  const index = Buffer.concat([
    ...Array.from({ length: keys }, () => entry),
    Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]),
  ]);
  const meta = Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]);
  const parts = [data, sealed(index, 0), sealed(meta, 0)];
  const handles = Buffer.concat([
    handle(data.length + parts[1]!.length, meta.length),
    handle(data.length, index.length),
  ]);
  return Buffer.concat([
    ...parts,
    Buffer.concat([handles, Buffer.alloc(40)]).subarray(0, 40),
    Buffer.from('57fb808b247547db', 'hex'),
  ]);
}
async function withTable(bytes: Buffer, message: RegExp): Promise<void> {
  const root = folder();
  cpSync(fixture('raw'), root, { recursive: true });
  writeFileSync(join(root, '000005.ldb'), bytes);
  await refused(() => readAll(root), 'data/leveldb', message);
}

test('data with a correct checksum is also checked: packed lengths, keys, overlapping blocks', async () => {
  // 6 bytes that claim to be 2^31.
  await withTable(
    table(Buffer.from([0x80, 0x80, 0x80, 0x80, 8, 0]), 1),
    /6 compressed bytes cannot expand to 2147483648/,
  );
  // A copy from before the start.
  await withTable(table(Buffer.from([4, 1, 9]), 1), /a copy lies outside the data/);
  await withTable(table(Buffer.from([0, 0, 0, 0xff]), 0), /a block has no end/);
  await withTable(
    table(Buffer.from([200, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0]), 0),
    /a key of 200 and 8 bytes is invalid/,
  );
  await withTable(table(Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]), 0, 2), /two blocks of it overlap/);
  await withTable(table(Buffer.from([0, 0, 0, 0]), 7), /unknown compression method 7/);
});

test("the checksum is CRC-32C, and Snappy's copies may overlap their destination", () => {
  // RFC 3720, B.4: 32 bytes of zeros, and the bytes 0 to 31.
  assert.is(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.is(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e);
  // A literal "ab", then a copy of 9 bytes from 2 bytes earlier.
  assert.is(unpackSnappy(Buffer.from([11, 1 << 2, 97, 98, ((9 - 4) << 2) | 1, 2])).toString(), 'abababababa');
});

test('a folder with a file that is not a regular one is refused before anything waits for it', async () => {
  const root = folder();
  cpSync(fixture('raw'), root, { recursive: true });
  rmSync(join(root, '000010.ldb'));
  execFileSync('mkfifo', [join(root, '000010.ldb')]);
  await refused(() => LevelDb.open(root), 'data/leveldb', /000010\.ldb: it is not a regular file/);
});

test.run();
