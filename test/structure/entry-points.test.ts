/** The package's entry points: what each exports, and what the root does not load. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { declaredEntryPoints, entryPoints } from '../support/entry-points.ts';
import { repositoryFolder } from '../support/golden.ts';

const ts = join(repositoryFolder, 'ts');

/** A file and all that it imports statically, except types. */
function readWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(ts, file), 'utf8');
  for (const [, names, path] of text.matchAll(
    /^(?:im|ex)port (?!type\b)([^;'(]*?)(?:from )?'(\.\.?\/[^']*\.ts)'/gm,
  )) {
    const each = names!
      .replace(/[{}\s]+/g, ' ')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    if (each.length > 0 && each.every((name) => name.startsWith('type '))) continue;
    readWith(relative(ts, join(ts, dirname(file), path!)), seen);
  }
  return seen;
}

test('package.json lists all entry points', () => {
  assert.equal(declaredEntryPoints().sort(), Object.keys(entryPoints).sort());
});

test('a name is exported by one entry point', () => {
  const seen = new Map<string, string>();
  for (const [path, exported] of Object.entries(entryPoints))
    for (const name of Object.keys(exported)) {
      assert.not.ok(seen.has(name), `${name} is exported by ${seen.get(name)} and ${path}`);
      seen.set(name, path);
    }
});

test('the root loads no code for images, databases, HDF5, training, drawing or conversion to other formats', () => {
  const files = [...readWith('index.ts')];
  // Besides the rules of Caffe's layers, which `graphFromCaffe` needs at once.
  const others = files.filter((file) => !file.startsWith('layers/'));
  assert.ok(others.length <= 87, `${others.length} modules are read beside the layers`);
  assert.equal(
    files.filter((file) => /^compile\/|device\/(?:nets|model|compiler|read-net)\.ts/.test(file)),
    [],
  );
  assert.ok(files.includes('device/device.ts'));
  for (const room of ['images', 'hdf5', 'train', 'quantize', 'tools', 'cli'])
    assert.equal(
      files.filter((file) => file.startsWith(`${room}/`)),
      [],
    );
  assert.equal(
    files.filter((file) => /^data\/|onnx|torch|keras|trainer\.ts|differentiate/.test(file)),
    ['data/read-shapes.ts'],
  );
});

test.run();
