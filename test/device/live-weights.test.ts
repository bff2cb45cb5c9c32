/** Live weights and parts of nets on devices that compute in main memory. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Device,
  DeviceError,
  graphFromCaffe,
  openDevice,
  readCaffemodel,
  toFloat32,
  type WeightsFile,
  writeCaffemodel,
} from '../../ts/index.ts';
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

test('weights in int8 cannot be changed, because scales depend on them', async () => {
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

test('weights that were read from a Buffer belong to the model: the Buffer may be overwritten', async () => {
  const device = devices[0]!;
  const graph = graphFromCaffe(net, { phase: 'TEST' });
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'net.caffemodel');
  writeCaffemodel(file, { name: 'net', layers: randomWeights(graph).layers });
  const read = () => {
    const bytes = readFileSync(file); // a Buffer, whose slice() returns a view
    return { bytes, weights: readCaffemodel(bytes, { file }) };
  };
  const values = ({ layers }: WeightsFile) =>
    layers.flatMap(({ blobs }) => blobs.map((blob) => [...toFloat32(blob)]));
  const expected = values(read().weights);
  const [given, set] = [read(), read()];
  using model = await device.load({ model: net, phase: 'TEST', weights: given.weights, outputs: ['fc'] });
  given.bytes.fill(0);
  assert.equal(values(await model.weights()), expected);
  await model.setWeights(set.weights);
  set.bytes.fill(0);
  assert.equal(values(await model.weights()), expected);
  rmSync(dirname(file), { recursive: true });
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
