/** Our HDF5 reader: it reads all that h5py writes, nothing outside the file, and a damaged file gives a typed error. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError, ResnodeError, WeightsError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { readHdf5Weights } from '../../ts/caffe/hdf5-weights.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import { hdf5Reader } from '../../ts/data/hdf5-reader.ts';
import { lookup3 } from '../../ts/hdf5/checksum.ts';
import { Hdf5Dataset } from '../../ts/hdf5/dataset.ts';
import { Hdf5File, type Hdf5Group } from '../../ts/hdf5/file.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/hdf5/fixtures');
const fixture = (name: string) => join(fixtures, name);
const folder = mkdtempSync(join(tmpdir(), 'resnode-hdf5-'));
test.after(() => rmSync(folder, { recursive: true }));

function unpacked(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, gunzipSync(readFileSync(fixture(`${name}.gz`))));
  return path;
}
async function inFile<T>(path: string, read: (root: Hdf5Group) => T | Promise<T>): Promise<T> {
  const file = await Hdf5File.open(path);
  try {
    return await read(file.root);
  } finally {
    await file.close();
  }
}
async function refused(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error = await work.then(
    () => assert.unreachable(`${code} ${message}`),
    (thrown: unknown) => thrown,
  );
  assert.instance(error, ResnodeError, String((error as Error).stack));
  assert.is((error as ResnodeError).code, code);
  assert.match((error as Error).message, message);
}
const descriptors = () => readdirSync('/proc/self/fd').length;
const ramp = Array.from({ length: 30 }, (_, i) => i);

// fixtures/make.py: each of these is the same ramp.
const RAMPS = [
  ...['float32', 'float64', 'float16', 'big-endian', 'big-endian i4', 'compact', 'of a named type'],
  ...['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'],
  ...['chunked', 'deflated', 'shuffled', 'one chunk', 'growing twice', 'group/soft', 'group/hard'],
];
for (const libver of ['earliest', 'v108', 'v110', 'latest'])
  test(`files that h5py writes with libver="${libver}" are read: every type, every storage layout`, async () => {
    await inFile(unpacked(`${libver}.h5`), async (root) => {
      const values = async (path: string) => {
        const found = root.get(path);
        assert.instance(found, Hdf5Dataset, path);
        return [
          (found as Hdf5Dataset).shape,
          Array.from((await (found as Hdf5Dataset).values()) as Float32Array, Number),
        ];
      };
      for (const path of RAMPS) assert.equal(await values(path), [[2, 3, 5], ramp], path);
      assert.equal(await values('filled'), [[2, 3, 5], ramp.map((each) => (each < 15 ? 7 : each))]);
      assert.equal(await values('never written'), [
        [2, 2],
        [3, 3, 3, 3],
      ]);
      assert.equal(await values('scalar'), [[], [2.5]]);
      assert.is(await (root.get('text') as Hdf5Dataset).text(), 'a text');
      assert.is(root.get('none'), null);
      assert.is(root.get('type'), null);
      const many = root.get('many') as Hdf5Group;
      const members = Array.from({ length: 100 }, (_, i) => `member ${i}`);
      assert.equal(many.names(), [...members].sort());
      for (const [i, name] of members.entries()) assert.equal(await values(`many/${name}`), [[], [i]]);
      assert.equal(many.texts('names'), ['name 0', 'name 1', 'name 2', 'name 3', 'name 4']);
      assert.equal(many.texts('fixed'), ['one', 'two']);
      assert.equal(many.texts('attribute 19'), ['value 19']);
      assert.is(many.texts('none'), undefined);
    });
  });

test('a userblock, and more chunks than fit into one page of their index, are read', async () => {
  const [float32, paged] = await Promise.all(
    [fixture('userblock.h5'), unpacked('paged.h5')].map((path) =>
      inFile(path, (root) => (root.get(root.names()[0]!) as Hdf5Dataset).values()),
    ),
  );
  assert.equal(Array.from(float32 as Float32Array), ramp);
  assert.equal(
    Array.from(paged as Int32Array),
    Array.from({ length: 3000 }, (_, i) => i),
  );
});

test('unsupported features are refused with what to do', async () => {
  const reader = (name: string) => hdf5Reader({ kind: 'hdf5', files: [fixture(name)], tops: ['x'] });
  const read = async (name: string) => {
    const { describe, read } = reader(name);
    await describe({ index: 0, seed: 0 });
    await read([{ index: 0, seed: 0 }], { x: [3, 5] }, { x: new Float32Array(15) }, () => false);
  };
  await refused(read('lzf.h5'), 'data/hdf5-unsupported', /"x": its values are compressed with LZF; .* gzip/);
  await refused(read('extensible.h5'), 'data/hdf5-unsupported', /write it again without libver="latest"/);
  await refused(read('earliest.h5.gz'), 'data/wrong-kind', /gzip.*HDF5/i);
});

for (const libver of ['earliest', 'latest']) {
  test(`nothing outside the file is read: external storage and links, libver="${libver}"`, async () => {
    writeFileSync(join(folder, 'secret.bin'), 'a secret of 16 b');
    await refused(
      readHdf5Weights(fixture(`outside-${libver}.h5`)),
      'weights/hdf5-external',
      /layer "storage", blob 0: its values are in other files \(external storage\)/,
    );
    await refused(
      readHdf5Weights(fixture(`link-${libver}.h5`)),
      'weights/hdf5-external',
      /"conv2" is an external link into "other\.h5"/,
    );
  });
  test(`circular links end, libver="${libver}"`, async () => {
    await refused(
      readHdf5Weights(fixture(`cycle-${libver}.h5`)),
      'weights/hdf5',
      /\/data\/a\/b contains itself/,
    );
    await refused(
      readHdf5Weights(fixture(`soft-cycle-${libver}.h5`)),
      'weights/hdf5',
      /leads back to itself/,
    );
    // 2^40 paths to one blob.
    await refused(
      readHdf5Weights(unpacked(`diamond-${libver}.h5`)),
      'weights/hdf5-limit',
      /more than \d+ headers/,
    );
  });
}

test('a virtual dataset is refused by name, wherever an HDF5 file is read', async () => {
  await refused(readHdf5Weights(fixture('virtual.h5')), 'weights/hdf5-external', /it is a virtual dataset/);
  await refused(readSolverState(fixture('virtual.h5')), 'weights/solver-state', /no \/iter and \/history/);
});

test("values over 256 MiB that take ten times the file's size are refused before memory is allocated", async () => {
  const before = process.memoryUsage().arrayBuffers;
  await refused(readHdf5Weights(fixture('bomb.h5')), 'weights/hdf5-limit', /h5repack -f NONE/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 26);
});

test('damaged files give typed errors or other values, leave no descriptor open, and later reads work', async () => {
  const seed = 1;
  const random = seededRandom(seed);
  const open = descriptors();
  const damage = join(folder, 'damaged.h5');
  const codes = new Set<string>();
  for (const name of ['earliest.h5', 'latest.h5']) {
    const whole = readFileSync(unpacked(name));
    for (let i = 0; i < 60; i++) {
      const bytes = Buffer.from(whole);
      // Structures are at the start and throughout the file; some mutants are truncated.
      const places = 1 + Math.floor(random() * 8);
      for (let j = 0; j < places; j++)
        bytes[Math.floor(random() * (random() < 0.5 ? 4096 : bytes.length))] = Math.floor(random() * 256);
      writeFileSync(damage, random() < 0.1 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes);
      try {
        const reader = hdf5Reader({ kind: 'hdf5', files: [damage], tops: RAMPS.slice(0, 20) });
        await reader.describe({ index: 0, seed: 0 });
        const shapes = Object.fromEntries(RAMPS.slice(0, 20).map((top) => [top, [3, 5]]));
        const output = Object.fromEntries(RAMPS.slice(0, 20).map((top) => [top, new Float32Array(15)]));
        await reader.read([{ index: 0, seed: 0 }], shapes, output, () => false);
      } catch (error) {
        assert.instance(error, DataError, `seed ${seed}, mutant ${i}: ${(error as Error).stack}`);
        codes.add((error as DataError).code);
      }
    }
  }
  assert.ok(codes.has('data/hdf5'));
  assert.is(descriptors(), open);
  assert.is((await inFile(unpacked('latest.h5'), (root) => root.names())).length > 20, true);
});

test("metadata with a wrong checksum is refused, and the checksum is Jenkins' lookup3", async () => {
  // The last lines of driver5 in lookup3.c.
  assert.is(lookup3(Buffer.from('Four score and seven years ago')), 0x17770551);
  assert.is(lookup3(Buffer.from('')), 0xdeadbeef);
  const bytes = readFileSync(fixture('link-latest.h5'));
  const name = bytes.indexOf('conv1');
  bytes[name] = 'k'.charCodeAt(0);
  writeFileSync(join(folder, 'renamed.h5'), bytes);
  await refused(
    readHdf5Weights(join(folder, 'renamed.h5')),
    'weights/hdf5',
    /the checksum of OHDR at byte \d+ is wrong/,
  );
});

test('a file that is not a regular file is refused at once', async () => {
  await refused(readHdf5Weights(folder), 'weights/wrong-kind', /a folder/);
  await refused(readHdf5Weights(join(folder, 'none.h5')), 'weights/not-found', /cannot be read/);
  assert.instance(await readHdf5Weights('/dev/null').catch((error: unknown) => error), WeightsError);
});

test.run();
