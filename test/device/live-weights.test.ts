/** Live weights and parts of nets on devices that compute in main memory. */
import { test } from 'uvu';
import { type Device, DeviceError, graphFromCaffe, openDevice } from '../../ts/index.ts';
import { testLiveWeights } from '../support/live-weights-cases.ts';
import { randomWeights } from '../support/random-weights.ts';
import { noise } from '../support/run-program.ts';
import { model as net, refuses } from '../support/trainer-cases.ts';

const devices: Device[] = [await openDevice('reference')];
try {
  devices.push(
    await openDevice('cpu', { threads: 2 }),
    await openDevice('cpu', { threads: 1, kernels: 'oneDNN' }),
  );
} catch (error) {
  console.log(`skipped: the cpu device: ${(error as Error).message}`);
}
for (const device of devices) testLiveWeights(device);

test('weights in int8 are not changed, since scales follow from them', async () => {
  const device = devices[1];
  if (device === undefined) return console.log('skipped: there is no cpu device');
  const { calibrate } = await import('../../ts/api/convert.ts');
  const weights = randomWeights(graphFromCaffe(net, { phase: 'TEST' }));
  const options = { model: net, phase: 'TEST' as const, weights, outputs: ['fc'] };
  const calibration = await calibrate(device, options, [{ data: noise(4 * 3 * 64, 1) }] as never).catch(
    () => null,
  );
  if (calibration === null) return;
  using model = await device.load({ ...options, precision: 'int8', calibration });
  await refuses(() => model.setWeights(weights), DeviceError, /int8/);
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
