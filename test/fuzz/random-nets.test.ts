/** What makes a net fast changes no result: random nets, fused, on every variant of the CPU, against the reference. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, openDevice } from '../../ts/index.ts';
import { compareRandomNets } from './random-nets.ts';

const SEED = 1;
const NETS = Number(process.env.RESNODE_FUZZ_NETS ?? 200);

const variants = {
  'the default': {},
  'without Winograd': { winograd: false },
  AVX2: { kernels: 'AVX2' },
  'AVX-512': { kernels: 'AVX-512' },
  oneDNN: { kernels: 'oneDNN' },
} as const;

const reference = await openDevice('reference');
test.after(() => reference.dispose());

for (const [name, options] of Object.entries(variants)) {
  const device: Device | Error = await openDevice('cpu', { threads: 2, ...options }).catch((error) => error);
  if (device instanceof Error) {
    console.log(`skipped: random nets on ${name}: ${device.message}`);
    continue;
  }
  test(`${NETS} random nets, fused on the CPU (${name}), give what the reference gives layer by layer`, async () => {
    const compared = await compareRandomNets(SEED, 0, NETS, reference, new Map([[name, device]]));
    console.log(
      `figures: ${name}: seed ${SEED}, ${compared.nets} nets, ${compared.blobs} blobs, worst ${compared.worst.toExponential(1)} of a blob's largest value, ${compared.differences.length} beyond 1e-4`,
    );
    assert.equal(compared.differences, []);
    device.dispose();
  });
}

test('fused on the reference too', async () => {
  const compared = await compareRandomNets(SEED + 1, 0, NETS, reference, new Map([['reference', reference]]));
  assert.equal(compared.differences, []);
});

test.run();
