/** Files are written as a whole or not at all, and leftovers of killed writers are removed. */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { makeFolder, writeFailure } from '../../ts/base/files.ts';
import { saveFileAtomically, temporaryFor, writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { writeHdf5Weights } from '../../ts/caffe/hdf5-weights.ts';
import { writeNpy } from '../../ts/caffe/npy.ts';
import { saveSolverState } from '../../ts/caffe/solver-state.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { ResnodeError } from '../../ts/index.ts';
import { scriptArguments } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-atomic-'));
test.after(() => rmSync(folder, { recursive: true }));

test('folders are made with those above them; one that no file system can make is refused', () => {
  makeFolder(join(folder, 'a/b/c'));
  makeFolder(join(folder, 'a/b'));
  writeFileSync(join(folder, 'a/file'), '');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'a/link'));
  for (const [path, says] of [
    [join(folder, 'a/file/b'), /ENOTDIR|EEXIST/],
    [join(folder, 'a/link'), /EEXIST/],
  ] as const)
    assert.throws(() => makeFolder(path), says);
  // In a process of its own, since mkdirSync with `recursive` never returns here.
  const words = scriptArguments(
    (place) => `import { makeFolder } from ${place('ts/base/files.ts')};
try { makeFolder('/proc/resnode/x'); } catch ({ code, message }) { console.log(code + ' ' + message); }`,
  );
  const { stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 });
  assert.match(
    stdout,
    /^file\/write \/proc\/resnode: cannot be written \(ENOENT\): no file of this name can be created in \/proc/,
  );
});

test('the next write removes the leftovers of a killed writer, and nothing else', async () => {
  const path = join(folder, 'net.caffemodel');
  const dead = spawnSync('true').pid;
  const leftover = temporaryFor(path).replace(`-${process.pid}-`, `-${dead}-`);
  const kept = [
    temporaryFor(path), // this process is writing it
    temporaryFor(join(folder, 'other.caffemodel')).replace(`-${process.pid}-`, `-${dead}-`),
    leftover.replace(/\.[0-9a-f]{8}-/, '.00000000-'), // another machine's
    join(folder, '.net.caffemodel.notes.tmp'),
  ];
  for (const write of [() => writeFileAtomically(path, ['a']), () => saveFileAtomically(path, ['b'])]) {
    for (const each of [leftover, ...kept]) writeFileSync(each, 'half');
    await write();
    const names = readdirSync(folder).map((name) => join(folder, name));
    assert.not(names.includes(leftover));
    assert.equal(
      kept.filter((each) => !names.includes(each)),
      [],
    );
  }
  assert.is(readFileSync(path, 'utf8'), 'b');
});

test('a link at the target path is replaced, and the file to which it points is not written', () => {
  const [secret, path] = [join(folder, 'secret'), join(folder, 'link')];
  writeFileSync(secret, 'mine');
  symlinkSync(secret, path);
  writeFileAtomically(path, ['new']);
  assert.is(readFileSync(secret, 'utf8'), 'mine');
  assert.is(readFileSync(path, 'utf8'), 'new');
});

const blob = blobFromFloats([2], new Float32Array(2));
const weights = { name: '', layers: [{ name: 'a', type: '', blobs: [blob] }] };
const writers: Record<string, (path: string) => unknown> = {
  npy: (path) => writeNpy(path, blob),
  caffemodel: (path) => writeCaffemodel(path, weights),
  'caffemodel.h5': (path) => writeHdf5Weights(path, weights),
  solverstate: (path) =>
    saveSolverState(path, { iter: 1, learned_net: 'a', current_step: 0, history: [blob] }),
  LMDB: (path) => new LmdbWriter(path).abandon(),
};
for (const [name, write] of Object.entries(writers))
  test(`${name}: a failed write gives an error that names the file, the cause and the cure`, async () => {
    writeFileSync(join(folder, 'a-file'), '');
    mkdirSync(join(folder, `${name}-is-a-folder`));
    const before = readdirSync(folder).length;
    for (const [path, cure] of [
      [join(folder, 'none', 'x'), /ENOENT.*there is no folder .*none; create it/],
      [join(folder, 'a-file', 'x'), /ENOTDIR.*is a file; name a folder/],
      [join(folder, 'n'.repeat(300)), /ENAMETOOLONG.*choose a shorter one/],
      ...(name === 'LMDB'
        ? []
        : [[join(folder, `${name}-is-a-folder`), /EISDIR.*name a file in it/] as const]),
    ] as const) {
      const error = await Promise.resolve()
        .then(() => write(path))
        .then(
          () => assert.unreachable(path) as never,
          (reason: unknown) => reason as ResnodeError,
        );
      assert.instance(error, ResnodeError);
      assert.is(error.code, 'file/write');
      assert.ok(error.message.startsWith(`${path}: cannot be written`), error.message);
      assert.match(error.message, cure);
    }
    assert.is(readdirSync(folder).length, before);
  });

test('errors name a full disk, a read-only disk and a folder of another user', () => {
  for (const [code, cure] of [
    ['ENOSPC', /full; make room/],
    ['EROFS', /read-only/],
    ['EACCES', /may not write in \/some; change/],
    ['EPERM', /may not write in \/some; change/],
    ['EDQUOT', /quota/],
    ['EXDEV', /as the system says it/],
  ] as const) {
    const cause = Object.assign(new Error('as the system says it'), { code, syscall: 'write' });
    const error = writeFailure('/some/file', cause) as ResnodeError;
    assert.is(error.code, 'file/write');
    assert.match(error.message, cure);
    assert.is(error.cause, cause);
  }
  const other = new TypeError('of the program');
  assert.is(writeFailure('/some/file', other), other);
});

test('external data of an ONNX model is refused if a link leads out of its folder', async () => {
  const inside = join(folder, 'model');
  mkdirSync(inside);
  const varint = (n: number) => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
  const field = (number: number, bytes: readonly number[]) => [
    ...varint(number * 8 + 2),
    ...varint(bytes.length),
    ...bytes,
  ];
  const text = (value: string) => [...Buffer.from(value)];
  // A 1×1 convolution with external weights.
  const model = (location: string) => {
    const weights = [
      ...[1, 1, 1, 1].flatMap((dim) => [8, dim]),
      ...[16, 1],
      ...field(8, text('w')),
      ...field(13, [...field(1, text('location')), ...field(2, text(location))]),
      ...[112, 1],
    ];
    const node = [
      ...field(1, text('x')),
      ...field(1, text('w')),
      ...field(2, text('y')),
      ...field(4, text('Conv')),
    ];
    const dims = [1, 1, 2, 2].flatMap((dim) => field(1, [8, dim]));
    const value = (name: string) => [
      ...field(1, text(name)),
      ...field(2, field(1, [8, 1, ...field(2, dims)])),
    ];
    const graph = [
      ...field(1, node),
      ...field(5, weights),
      ...field(11, value('x')),
      ...field(12, value('y')),
    ];
    return Buffer.from([8, 8, ...field(7, graph), ...field(8, [16, 17])]);
  };
  writeFileSync(join(folder, 'outside.bin'), Buffer.alloc(16));
  symlinkSync(join(folder, 'outside.bin'), join(inside, 'link.bin'));
  symlinkSync('..', join(inside, 'up'));
  for (const location of ['link.bin', 'up/outside.bin', '../outside.bin', join(folder, 'outside.bin')]) {
    writeFileSync(join(inside, 'net.onnx'), model(location));
    const error = await convert(join(inside, 'net.onnx'), join(folder, 'out.caffemodel')).then(
      () => assert.unreachable() as never,
      (reason: unknown) => reason as ResnodeError,
    );
    assert.is(error.code, 'onnx/external', error.message);
    assert.match(error.message, /folder of the model/);
  }
});

test('an empty or relative XDG_CACHE_HOME counts as unset', () => {
  const home = join(folder, 'home');
  mkdirSync(home);
  const words = scriptArguments(
    (place) => `import { openDevice } from ${place('ts/index.ts')};
    const device = await openDevice('cpu', { threads: 1 });
    const layers = 'input: "data" input_shape { dim: 1 dim: 32 dim: 14 dim: 14 } layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 32 kernel_size: 3 pad: 1 } }';
    (await device.load({ model: Buffer.from(layers) })).dispose(); device.dispose();`,
  );
  for (const XDG_CACHE_HOME of ['', 'relative']) {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    const child = spawnSync(process.execPath, words, {
      encoding: 'utf8',
      cwd,
      env: { ...process.env, HOME: home, XDG_CACHE_HOME },
    });
    assert.is(child.status, 0, child.stderr);
    assert.equal(readdirSync(cwd), []);
  }
});

test.run();
