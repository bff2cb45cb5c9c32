/** LMDB: databases that liblmdb wrote are read, liblmdb reads those that we write, and damaged ones are refused. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { datumAt, openLmdb, readLmdb } from '../../ts/data/lmdb.ts';
import { LmdbFile } from '../../ts/data/lmdb-file.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixture = (name: string) => join(repositoryFolder, 'test/data/fixtures', `${name}.lmdb`);
const folder = () => mkdtempSync(join(tmpdir(), 'resnode-'));
const refused = (work: () => unknown, code: string, message: RegExp) => {
  try {
    work();
  } catch (error) {
    assert.instance(error, DataError);
    assert.is((error as DataError).code, code);
    assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`${code} ${message}`);
};

// As in make.py: byte j of record i is 7i + 3j, its label i mod 10.
const raw = (i: number) => Uint8Array.from({ length: 60 }, (_, j) => i * 7 + j * 3);

test('records come in the order of their keys, whatever their pages', async () => {
  let i = 0;
  for await (const { key, datum } of readLmdb(fixture('raw'))) {
    assert.is(key, String(i).padStart(8, '0'));
    assert.equal([datum.channels, datum.height, datum.width, datum.label], [3, 4, 5, i % 10]);
    assert.equal(new Uint8Array(datum.data), raw(i++));
  }
  assert.is(i, 100);
});

test('a record is found by its index, in any order', () => {
  const database = openLmdb(fixture('raw'));
  for (let i = 0; i < 100; i++) {
    const at = (i * 37 + 99) % 100;
    assert.equal(new Uint8Array(datumAt(database, at).datum.data), raw(at));
  }
  assert.throws(() => database.at(100), /has 100 records/);
  database.close();
});

test('values on overflow pages, floats and negative labels are read', () => {
  const database = openLmdb(fixture('encoded'));
  const { key, datum } = datumAt(database, 1);
  assert.is(key, '00000001_planes');
  const planes = Uint8Array.from({ length: 6000 }, (_, i) =>
    i < 2000 ? 200 : i < 4000 ? 5 * (i % 50) : 4 * Math.floor((i - 4000) / 50),
  );
  assert.equal(new Uint8Array(datum.data), planes);
  database.close();
  const floats = openLmdb(fixture('floats'));
  const second = datumAt(floats, 1).datum;
  assert.equal([...second.floatData!], [1, 1.25, 1.5, 1.75, 2, 2.25]);
  assert.is(second.label, -1);
  floats.close();
});

test('a path that is no database, or one without records, is refused with what to do', () => {
  const empty = folder();
  refused(() => openLmdb('/nowhere.lmdb'), 'data/not-found', /nowhere\.lmdb: there is no such folder/);
  refused(() => openLmdb(empty), 'data/not-found', /no data\.mdb/);
  assert.throws(() => openLmdb('/dev/null'), /\/dev\/null: this is a FIFO, a socket or a device/);
  writeFileSync(join(empty, 'CURRENT'), 'MANIFEST-000002\n');
  refused(() => openLmdb(empty), 'data/leveldb', /convert_imageset --backend=lmdb/);
  refused(() => openLmdb(fixture('empty')), 'data/empty', /no records/);
  writeFileSync(join(empty, 'data.mdb'), Buffer.alloc(8192, 7));
  refused(() => openLmdb(empty), 'data/lmdb', /not an LMDB database/);
  writeFileSync(join(empty, 'data.mdb'), '');
  refused(() => openLmdb(empty), 'data/lmdb', /empty or truncated/);
  const later = Buffer.alloc(8192);
  later.writeUInt32LE(0xbeefc0de, 24);
  writeFileSync(join(empty, 'data.mdb'), later);
  refused(() => openLmdb(empty), 'data/lmdb', /mdb_dump and mdb_load/);
});

test('a truncated or damaged database is refused and never crashes', () => {
  const bytes = readFileSync(join(fixture('raw'), 'data.mdb'));
  const path = join(folder(), 'data.mdb');
  const readAll = () => {
    const database = new LmdbFile(path);
    try {
      for (let i = 0; i < database.count; i++) datumAt(database, i);
    } finally {
      database.close();
    }
  };
  writeFileSync(path, bytes.subarray(0, bytes.length - 1));
  refused(readAll, 'data/lmdb', /truncated; copy it again/);
  let damaged = 0;
  // The heads of all pages, which hold the structure, and a sample of the rest.
  const places = Array.from({ length: bytes.length }, (_, at) => at).filter(
    (at) => at % 4096 < (at < 8192 ? 152 : 24) || at % 257 === 0,
  );
  for (const at of places) {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 0xff;
    writeFileSync(path, copy);
    try {
      readAll();
    } catch (error) {
      assert.instance(error, DataError, `byte ${at}: ${(error as Error).stack}`);
      damaged++;
    }
  }
  assert.ok(damaged > 100, `${damaged} of ${places.length}`);
});

test('a record that is not a whole Datum is named', () => {
  const database = openLmdb(fixture('odd'));
  const at = (i: number, message: RegExp) => refused(() => datumAt(database, i), 'data/datum', message);
  at(0, /odd\.lmdb.*record "0 cut": this is not a complete Datum/);
  at(1, /record "1 short": 1×2×3 .* needs 6 values, it has 4/);
  at(4, /record "4 text"/);
  assert.is(datumAt(database, 2).datum.label, null);
  assert.is(datumAt(database, 5).datum.label, 7);
  database.close();
});

// [records, length of a key, of a value]: no page, one, overflow pages, one to four levels of branches.
const databases = [
  [0, 8, 10],
  [1, 8, 5000],
  [300, 500, 900],
  [700, 8, 3080],
  [5000, 8, 100],
  [1500, 511, 30],
] as const;
const keyOf = (i: number, length: number) => String(i).padStart(length, '0');

test('a written database is read by us and by liblmdb, which adds and deletes records', async () => {
  const root = folder();
  for (const [count, keyLength, length] of databases) {
    const path = join(root, `${count}-${keyLength}-${length}`);
    const writer = new LmdbWriter(path);
    for (let i = 0; i < count; i++) writer.add(keyOf(i, keyLength), Buffer.alloc(length + (i % 7), i));
    await writer.finish();
    const database = new LmdbFile(path);
    assert.is(database.count, count);
    for (let i = count - 1; i >= 0; i--) {
      const { key, value } = database.at(i);
      if (String(key) !== keyOf(i, keyLength) || !value.equals(Buffer.alloc(length + (i % 7), i)))
        assert.unreachable(`record ${i} of ${path}`);
    }
    database.close();
  }
  assert.equal(readdirSync(root).length, databases.length);
  const script = `
import lmdb, os, sys
for name in os.listdir(sys.argv[1]):
    n, k, v = map(int, name.split('-'))
    path = os.path.join(sys.argv[1], name)
    key = lambda i: b'%0*d' % (k, i)
    with lmdb.open(path, readonly=True) as env, env.begin() as t:
        assert env.stat()['entries'] == n
        assert list(t.cursor()) == [(key(i), bytes([i % 256]) * (v + i % 7)) for i in range(n)]
        assert all(t.get(key(i)) is not None for i in range(0, n, 37))
    with lmdb.open(path, map_size=1 << 28) as env:
        with env.begin(write=True) as t:
            for i in range(0, n, 3): assert t.delete(key(i))
            for i in range(200): t.put(b'x%04d' % i, b'y' * (i * 7))
        with env.begin() as t: assert sum(1 for _ in t.cursor()) == n - len(range(0, n, 3)) + 200
print('same')`;
  const python = ['/usr/bin/python3', 'python3'].find(
    (name) => spawnSync(name, ['-c', 'import lmdb']).status === 0,
  );
  if (python === undefined)
    return console.log('skipped: liblmdb did not read what was written; apt-get install python3-lmdb');
  const run = spawnSync(python, ['-c', script, root], { encoding: 'utf8' });
  assert.is(run.stdout, 'same\n', run.stderr);
  for (const [count, keyLength, length] of databases) {
    const database = new LmdbFile(join(root, `${count}-${keyLength}-${length}`));
    assert.is(database.count, count - Math.ceil(count / 3) + 200);
    assert.is(database.at(database.count - 1).value.length, 199 * 7);
    database.close();
  }
});

test('a database appears as a whole or not at all, and accepts only sorted keys that LMDB accepts', async () => {
  const root = folder();
  const path = join(root, 'a.lmdb');
  const writer = new LmdbWriter(path);
  writer.add('b', Buffer.from('1'));
  refused(() => writer.add('a', Buffer.from('2')), 'data/key', /"a" does not come after "b"/);
  refused(() => writer.add('b', Buffer.from('2')), 'data/key', /does not come after/);
  refused(() => writer.add('z'.repeat(512), Buffer.from('2')), 'data/key', /1 to 511 bytes/);
  assert.not(existsSync(path));
  writer.abandon();
  assert.equal(readdirSync(root), []);
  mkdirSync(path);
  refused(() => new LmdbWriter(path), 'data/exists', /already exists/);
});

test('a read-only folder suffices', () => {
  const root = folder();
  cpSync(fixture('raw'), root, { recursive: true });
  openLmdb(root).close();
  assert.equal(readdirSync(root), ['data.mdb']);
});

test.run();
