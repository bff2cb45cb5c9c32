/**
 * A classifier in a worker thread, whose answers the main thread receives: `node main.mjs MODEL_FOLDER IMAGE...`. resnode
 * computes off the event loop in any case. A worker helps if the application's own work would delay its callbacks.
 */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';

const [model, ...images] = process.argv.slice(2);
if (model === undefined || images.length === 0) {
  console.error('usage: node main.mjs MODEL_FOLDER IMAGE...');
  process.exit(2);
}

const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: model });
/** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
const requests = new Map();
worker.on('message', ({ id, classes, error }) => {
  const { resolve, reject } = /** @type {NonNullable<ReturnType<typeof requests.get>>} */ (requests.get(id));
  requests.delete(id);
  if (error === undefined) resolve(classes);
  else reject(Object.assign(new Error(error.message), { code: error.code }));
});
worker.on('error', (error) => {
  for (const { reject } of requests.values()) reject(error);
});

let next = 0;
/** @param {Uint8Array<ArrayBuffer>} bytes Transferred to the worker, not copied. */
function classify(bytes) {
  const id = next++;
  return new Promise((resolve, reject) => {
    requests.set(id, { resolve, reject });
    worker.postMessage({ id, bytes }, [bytes.buffer]);
  });
}

for (const file of images) {
  // A file's Buffer may be part of shared memory, so a copy is transferred.
  const [best] = await classify(new Uint8Array(await readFile(file)));
  console.log(`${file}: ${best.label} ${best.probability.toFixed(4)}`);
}
worker.postMessage('close');
