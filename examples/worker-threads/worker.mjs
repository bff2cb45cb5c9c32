/** Answers { id, bytes } with { id, classes }. After 'close' it answers the accepted requests and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { ResnodeError } from 'resnode';
import { openClassifier } from 'resnode/images';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
/** @type {unknown[]} */
const early = [];
port.on('message', (message) => early.push(message));
const classifier = await openClassifier(workerData);

/** @param {any} message */
async function take(message) {
  if (message === 'close') {
    await classifier.close();
    port.close();
    return;
  }
  const { id, bytes } = message;
  try {
    port.postMessage({ id, classes: await classifier.classify(bytes) });
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    port.postMessage({ id, error: { code: error.code, message: error.message } });
  }
}
port.removeAllListeners('message');
port.on('message', take);
for (const message of early) void take(message);
