/** HDF5 files are written while the event loop runs, as a whole or not at all, whatever happens to the thread. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ArgumentError, ResnodeError } from '../../ts/base/errors.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import { readHdf5Weights, writeHdf5Weights } from '../../ts/caffe/hdf5-weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-hdf5-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const weights = (count: number, name = 'a/b') => {
  const values = Float32Array.from({ length: count }, (_, i) => i % 1000);
  return { name: '', layers: [{ name, type: '', blobs: [blobFromFloats([count], values)] }] };
};
const refused = async (work: Promise<void>, message: RegExp) => {
  const error = await work.catch((thrown: unknown) => thrown);
  assert.instance(error, ResnodeError);
  assert.ok(['file/write', 'weights/write'].includes((error as ResnodeError).code));
  assert.match((error as ResnodeError).message, message);
};

test("the event loop runs while a large blob is written, and the blob remains the caller's", async () => {
  const large = weights(2 ** 23);
  // Starts the thread and loads its library.
  await writeHdf5Weights(path('first.h5'), weights(1));
  let turns = 0;
  let isWriting = true;
  const turn = () => {
    turns++;
    if (isWriting) setImmediate(turn);
  };
  setImmediate(turn);
  await writeHdf5Weights(path('large.h5'), large);
  isWriting = false;
  // With one turn per message and one per piece of the copy, there would be about fifty.
  assert.ok(turns > 200, `${turns} turns`);
  const { layers } = await readHdf5Weights(path('large.h5'));
  assert.is(layers[0]!.name, 'a/b');
  assert.equal(toFloat32(layers[0]!.blobs[0]!), toFloat32(large.layers[0]!.blobs[0]!));
});

test('files that are written at the same time do not interfere', async () => {
  const counts = [5, 6, 7];
  await Promise.all(counts.map((count) => writeHdf5Weights(path(`${count}.h5`), weights(count))));
  for (const count of counts)
    assert.equal((await readHdf5Weights(path(`${count}.h5`))).layers[0]!.blobs[0]!.shape, [count]);
});

test('a failed write is reported and leaves nothing behind', async () => {
  const before = readdirSync(folder).sort();
  await refused(writeHdf5Weights(path('none/x.h5'), weights(1)), /none\/x\.h5: cannot be written \(/);
  const odd = weights(4);
  const blobs = [{ ...odd.layers[0]!.blobs[0]!, shape: [5] }];
  const error = await writeHdf5Weights(path('x.h5'), {
    name: '',
    layers: [{ ...odd.layers[0]!, blobs }],
  }).catch((thrown: unknown) => thrown);
  assert.match(
    (error as ArgumentError).message,
    /weights\.layers\[0\]\.blobs\[0\]\.bytes: expected 20 bytes \(5 of float32\)/,
  );
  assert.equal(readdirSync(folder).sort(), before);
});

test('if the thread dies, an error reports it, nothing is left behind, and the next file gets another thread', async () => {
  const before = readdirSync(folder).sort();
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...given: Parameters<typeof postMessage>) {
    if ('dataset' in (given[0] as object)) void this.terminate();
    else postMessage.apply(this, given);
  };
  try {
    await refused(writeHdf5Weights(path('x.h5'), weights(9)), /the thread that writes it ended with code 1/);
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
  assert.equal(readdirSync(folder).sort(), before);
  await writeHdf5Weights(path('x.h5'), weights(9));
  assert.is((await readHdf5Weights(path('x.h5'))).layers.length, 1);
});

test.run();
