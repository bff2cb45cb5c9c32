/** scripts/caffe-dump.py under Python 3 with a stub of pycaffe: `resnode parity` reads what it writes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blobFromFloats, writeCaffemodel, writeNpy } from '../../../ts/index.ts';
import { COMMAND } from '../../support/command.ts';
import { repositoryFolder } from '../../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-dump-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const stub = join(repositoryFolder, 'test/tools/parity/stub.prototxt');
const weights = path('net.caffemodel');
writeCaffemodel(weights, { name: 'stub', layers: [{ name: 'input', type: 'Input', blobs: [] }] });

const python = (...words: string[]) =>
  spawnSync('python3', words, {
    encoding: 'utf8',
    env: {
      ...process.env,
      PYTHONPATH: join(repositoryFolder, 'test/tools/parity/pycaffe'),
      PYTHONDONTWRITEBYTECODE: '1',
    },
  });
const dump = (...words: string[]) =>
  python(join(repositoryFolder, 'scripts/caffe-dump.py'), stub, weights, ...words);
const parity = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'parity', '--device', 'reference', '--json', ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
const net = ['--model', stub, '--weights', weights];

const found = python('-c', 'import numpy');
if (found.status !== 0)
  console.log(
    `skipped: no python3 with numpy, so scripts/caffe-dump.py is not run (${(found.stderr ?? `${found.error}`).trim().split('\n').at(-1)})`,
  );
else {
  test('an .npy with another batch size is read by both forms of parity, which agree with the stub', () => {
    const values = Float32Array.from({ length: 120 }, (_, i) => Math.sin(i));
    writeNpy(path('input.npy'), blobFromFloats([2, 3, 4, 5], values));
    const out = path('from-npy');
    const made = dump(out, path('input.npy'));
    assert.is(made.status, 0, made.stderr);
    assert.is(made.stdout, `${out}: 3 layers for 2 inputs\n`);
    const against = JSON.parse(parity(...net, '--against', out).stdout);
    assert.ok(against.ok);
    assert.equal(
      against.layers.map(({ name }: { name: string }) => name),
      ['double@double', 'double@relu', 'sum@sum', 'sum'],
    );
    assert.equal(against.notCompared, []);
    const replayed = JSON.parse(parity(out).stdout);
    assert.ok(replayed.ok);
    assert.is(replayed.results[0].checks.length, 5);
    // Before the in-place ReLU ran, half of sin is negative.
    const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
    const { file } = manifest.passes[0].layers.double[0];
    const bytes = readFileSync(join(out, file));
    assert.ok(Math.abs(bytes.readFloatLE(4 * 5) - (2 * Math.sin(5) + 1)) < 1e-6);
  });

  test('images are prepared as resnode prepares them; if the mean differs, parity names it', async () => {
    const [width, height] = [60, 40];
    const images = [1, 2].map((k) => path(`${k}.png`));
    for (const [k, image] of images.entries()) {
      const pixels = Uint8Array.from(
        { length: width * height * 3 },
        (_, i) => 90 + 50 * (i % 3) + 30 * Math.sin((i + 50 * k) / 40),
      );
      const raw = { width, height, channels: 3 as const };
      writeFileSync(image, await sharp(pixels, { raw }).png({ adaptiveFiltering: false }).toBuffer());
    }
    writeFileSync(path('list.txt'), '1.png 7\n2.png\n');
    const prepared = ['--shorter-side', '7', '--mean-value', '104,117,123', '--images', path('list.txt')];
    const out = path('from-images');
    const mean = ['--shorter-side', '7', '--mean', '104,117,123'];
    assert.is(dump(out, ...images, ...mean).status, 0);
    const same = JSON.parse(parity(...net, '--against', out, ...prepared).stdout);
    assert.ok(same.ok, JSON.stringify(same.images));
    assert.is(same.images.length, 2);
    assert.ok(same.images[0].mean < 0.6, 'not rounded there, rounded here');
    assert.is(dump(out, ...images, '--shorter-side', '7').status, 0);
    const run = parity(...net, '--against', out, ...prepared);
    assert.is(run.status, 1);
    const other = JSON.parse(run.stdout);
    assert.equal([other.ok, other.firstDivergence], [false, null]);
    assert.is(other.images[1].cause.name, 'mean');
    assert.match(other.images[1].cause.text, /the other side subtracts no mean/);
    const one = parity(...net, '--against', out, '--images', images[0]!);
    assert.is(one.status, 2);
    assert.match(
      one.stderr,
      /resnode: --images: expected the 2 images of the dump, in its order, but received 1/,
    );
  });
}

test.run();
