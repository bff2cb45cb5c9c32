/** Files larger than any array: each reader refuses them at once with a short message. */
import { constants } from 'node:buffer';
import { mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  convert,
  readKerasResnet,
  readOnnxFile,
  readSafetensorsFile,
  readTorchResnet,
} from '../../ts/api/convert.ts';
import { decodeImage } from '../../ts/api/images.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import { openDevice, ResnodeError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const SIZE = 5 * 2 ** 30;
const folder = mkdtempSync(join(tmpdir(), 'resnode-large-'));
test.after(() => rmSync(folder, { recursive: true }));

/** A file with a hole after its first bytes, which takes no disk space. */
function sparse(name: string, ...head: (string | readonly number[])[]): string {
  const path = join(folder, name);
  const descriptor = openSync(path, 'wx');
  writeSync(
    descriptor,
    Buffer.concat(
      head.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
    ),
  );
  truncateSync(path, SIZE);
  return path;
}

const device = await openDevice('reference');
test.after(() => device.dispose());
const model = join(repositoryFolder, 'examples/fashion/deploy.prototxt');
const readers: Record<string, () => unknown> = {
  'a prototxt': () => device.load({ model: sparse('net.prototxt', 'name: "a"\n') }),
  'a caffemodel': () =>
    device.load({ model, weights: sparse('a.caffemodel', [0xa2, 6, 0xff, 0xff, 0xff, 0xff, 0x0f]) }),
  npy: () => device.load({ model, weights: sparse('a.npy', '\x93NUMPY\x01\x00v\x00') }),
  'safetensors as weights': () =>
    device.load({ model, weights: sparse('a.safetensors', [64, 0, 0, 0, 0, 0, 0, 0], '{"a":') }),
  safetensors: () => readSafetensorsFile(sparse('b.safetensors', [64, 0, 0, 0, 0, 0, 0, 0], '{"a":')),
  ONNX: () => readOnnxFile(sparse('a.onnx', [8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]), { inputShapes: {} }),
  'a PyTorch file': () => readTorchResnet(sparse('a.pth', 'PK\x03\x04archive/data.pkl')),
  'a Keras file': () => readKerasResnet(sparse('a.h5', '\x89HDF\r\n\x1a\n')),
  'a conversion': () =>
    convert(sparse('c.safetensors', [64, 0, 0, 0, 0, 0, 0, 0], '{"a":'), join(folder, 'c.caffemodel')),
  'an HDF5 conversion': () =>
    convert(sparse('c.caffemodel.h5', '\x89HDF\r\n\x1a\n'), join(folder, 'c.caffemodel')),
  'a mean image': () =>
    convert(sparse('mean.binaryproto', [0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f]), join(folder, 'mean.npy')),
  "a solver's state": () =>
    readSolverState(sparse('a.solverstate', [8, 1, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f])),
  'an image': () => decodeImage(sparse('a.jpg', '\xff\xd8\xff\xe0')),
};

if (constants.MAX_LENGTH > SIZE)
  console.log(`skipped: Node ${process.versions.node} has arrays of more than 5 GiB`);
else
  for (const [name, read] of Object.entries(readers))
    test(`${name} of 5 GiB is refused with a typed error`, async () => {
      const error = await Promise.resolve()
        .then(read)
        .then(
          () => new Error('it was read'),
          (reason: Error) => reason,
        );
      assert.instance(error, ResnodeError);
      assert.match((error as ResnodeError).code, /too-large|hdf5/, error.message);
      if (/too-large/.test((error as ResnodeError).code)) assert.match(error.message, String(SIZE));
    });

test.run();
