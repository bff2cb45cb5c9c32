/** The 240 MB of weights of a ResNet-152 are opened without reading them, and packed without a second copy. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats, graphFromCaffe, resnet, writeCaffemodel } from '../../ts/index.ts';
import { nodeArguments } from '../support/command.ts';

const MB = 1e6;

function writeZeroWeights(path: string): void {
  const { name, parameters } = graphFromCaffe(resnet({ depth: 152 }));
  const zeros = new Float32Array(Math.max(...parameters.map(({ shape }) => elementCount(shape))));
  const layers = [...new Set(parameters.map(({ layer }) => layer))].map((layer) => ({
    name: layer,
    type: '',
    blobs: parameters
      .filter((each) => each.layer === layer)
      .map(({ shape }) => blobFromFloats(shape, zeros.subarray(0, elementCount(shape)))),
  }));
  writeCaffemodel(path, { name, layers });
}

if (!existsSync('/proc/self/clear_refs')) console.log('skipped: there is no /proc to read memory from');
else {
  test('a ResNet-152 opens without reading its payload, and loads in hardly more memory than it then holds', () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-large-'));
    try {
      const path = join(folder, 'ResNet-152.caffemodel');
      writeZeroWeights(path);
      assert.ok(statSync(path).size > 240 * MB);
      const child = spawnSync(process.execPath, [...nodeArguments('test/caffe/resident.ts'), path], {
        encoding: 'utf8',
      });
      assert.is(child.status, 0, child.stderr);
      const { read, load, parameters } = JSON.parse(child.stdout) as Record<string, number>;
      assert.ok(read! < 20 * MB, `reading took ${read} bytes`);
      // Activations, the largest packed layer, and V8, whose collector is late on a busy machine. A second copy of the
      // file would take twice that.
      assert.ok(load! - parameters! < 120 * MB, `loading took ${load} bytes for ${parameters} of parameters`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
