/** bench/torch-peer.py with a real torch on the CPU: RESNODE_TEST_TORCH names a Python that has it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeNet, writeForTorch } from '../../../bench/gpu/case.ts';
import { compareAndTime } from '../../../bench/gpu/measure.ts';
import { PythonPeer } from '../../../bench/gpu/python-peer.ts';

const python = process.env.RESNODE_TEST_TORCH;
if (python === undefined) {
  console.log('skipped: RESNODE_TEST_TORCH names no Python that has torch');
} else {
  // Compiling takes minutes on a CPU, and is not tested here.
  process.env.TORCHDYNAMO_DISABLE = '1';
  test('torch steps that give NaN are refused; finite ones return their losses', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-torch-peer-'));
    const { peer } = await PythonPeer.start('torch', { seconds: 600, device: 'cpu', python });
    try {
      writeForTorch(makeNet(50), [1], folder);
      const train = async () => {
        const request = { do: 'train', folder, depth: 50, batch: 1, precision: 'float32', variant: 'amp' };
        const { output } = await peer.ask(request, 600);
        const bytes = readFileSync(output as string);
        const losses = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice();
        const time = async () => [1];
        const engine = { name: 'torch amp', output: async () => losses, latency: time, throughput: time };
        return { losses, compared: (await compareAndTime([engine]))[0]! };
      };
      const sound = await train();
      assert.is(sound.losses.length, 5);
      assert.is(sound.compared.refusal, null);
      assert.is((await peer.ask({ do: 'skipped' }, 60)).skipped, 0);
      // A loss scale beyond float16 makes every diff infinite: each step halves it, and none learns.
      const request = { do: 'train', folder, depth: 50, batch: 1, precision: 'float16', variant: 'amp' };
      assert.is((await peer.ask({ ...request, scale: 2 ** 60 }, 600)).skipped, 5);
      // timm's net is another one, so nothing is compared; results that are not finite are refused nevertheless.
      const timm = () =>
        peer
          .ask({ do: 'load', folder, depth: 50, batch: 1, precision: 'float32', variant: 'timm' }, 600)
          .catch(({ message }: Error) => ({ error: message, seconds: undefined }));
      const { seconds, error } = await timm();
      const hasTimm = seconds !== undefined;
      if (!hasTimm) console.log(`skipped: timm cannot be loaded (${error})`);
      // A NaN pixel makes every loss NaN.
      const image = readFileSync(join(folder, 'input1.f32'));
      image.writeFloatLE(Number.NaN, 0);
      writeFileSync(join(folder, 'input1.f32'), image);
      const poisoned = await train();
      assert.ok(poisoned.losses.every(Number.isNaN));
      assert.match(poisoned.compared.refusal!, /^not timed: 5 of its 5 values are not finite/);
      assert.is(poisoned.compared.times, null);
      if (hasTimm) assert.is((await timm()).error, 'not timed: 1000 of its 1000 values are not finite');
    } finally {
      peer.end();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
test.run();
