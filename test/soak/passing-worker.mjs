/** Loads the library in a worker, and reports when runs are in flight. The parent then terminates it. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

const { folder, tsx } = workerData;
(await import(tsx)).register();
const { openDevice } = await import('../../ts/index.ts');
const device = await openDevice('cpu', { threads: 1 });
const model = await device.load({
  model: join(folder, 'deploy.prototxt'),
  weights: join(folder, 'model.caffemodel'),
});
for (let i = 0; i < 20; i++)
  void model.run({ data: { shape: [8, 1, 28, 28], data: new Float32Array(8 * 784) } });
parentPort?.postMessage('running');
