/** The files of the package: how many a program loads, and which it loads without being asked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle } from '../../scripts/bundle.mjs';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-bundle-'));
test.after(() => rmSync(folder, { recursive: true }));
const outputs = await bundle(repositoryFolder, folder);

/** The files that are loaded with `entry`, and their modules. */
function readWith(entry: string): { readonly files: number; readonly modules: readonly string[] } {
  const first = Object.keys(outputs).find((file) => outputs[file]!.entryPoint === entry);
  assert.ok(first !== undefined, `no file begins at ${entry}`);
  const files = new Set([first]);
  for (const file of files)
    for (const { kind, path, external } of outputs[file]!.imports)
      if (kind === 'import-statement' && external !== true) files.add(path);
  return { files: files.size, modules: [...files].flatMap((file) => Object.keys(outputs[file]!.inputs)) };
}

test('the root is few files, the first net one more, and a thread one', () => {
  const root = readWith('ts/index.ts').files;
  assert.ok(root <= 5, `${root} files`);
  assert.ok(readWith('ts/device/nets.ts').files <= root + 1);
  for (const thread of ['ts/data/worker.ts', 'ts/caffe/hdf5-thread.ts']) assert.is(readWith(thread).files, 1);
});

test('modules that the sources load on demand are loaded on demand from the files', () => {
  const { modules } = readWith('ts/index.ts');
  assert.ok(modules.includes('ts/device/device.ts'));
  const others = /^ts\/(images|hdf5|train|quantize|tools|cli|compile)\/|^ts\/device\/(nets|trainer)\.ts|onnx/;
  assert.equal(
    modules.filter((path) => others.test(path)),
    [],
  );
  assert.ok(readWith('ts/cli/main.ts').modules.length < 20);
  assert.not.ok(readWith('ts/device/nets.ts').modules.includes('ts/device/trainer.ts'));
});

test('no module is in two files that one program may read', () => {
  const all = Object.values(outputs)
    .filter(({ entryPoint }) => !/worker|thread/.test(entryPoint ?? ''))
    .flatMap(({ inputs }) => Object.keys(inputs));
  assert.ok(all.length > 300);
  assert.equal(all.length, new Set(all).size);
});

test.run();
