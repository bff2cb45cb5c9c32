/**
 * A service as a user would write it: the body holds an image, the answer its class. An image that cannot be decoded
 * gives a 4xx with the error's code. POST /weights reads a model file from the body, as a converter's upload would.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { decodeImage, loadPreprocess, preprocessImage, readLabels } from '../../ts/api/images.ts';
import { openDevice, ResnodeError, readCaffemodel, readNet } from '../../ts/index.ts';

const folder = fileURLToPath(new URL('../../examples/fashion', import.meta.url));
const labels = readLabels(join(folder, 'labels.txt'));
const preprocess = loadPreprocess(join(folder, 'preprocess.json'));
const device = await openDevice('cpu', { threads: 1 });
const model = await device.load({
  model: join(folder, 'deploy.prototxt'),
  weights: join(folder, 'model.caffemodel'),
});
const scratch = mkdtempSync(join(tmpdir(), 'resnode-soak-'));
let uploads = 0;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function classify(bytes: Buffer, signal: AbortSignal): Promise<unknown> {
  const image = await decodeImage(bytes, { maxPixels: 1e6, timeout: 5, signal });
  const { prob } = await model.run({ data: await preprocessImage(image, preprocess, 1) }, { signal });
  const best = prob!.data.indexOf(Math.max(...prob!.data));
  return { label: labels[best], probability: prob!.data[best] };
}

/** A worker that is terminated in the middle of a run. */
async function passingWorker(): Promise<unknown> {
  const worker = new Worker(new URL('./passing-worker.mjs', import.meta.url), {
    workerData: { folder, tsx: import.meta.resolve('tsx/esm/api') },
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  return { terminated: true };
}

const ROUTES: Readonly<Record<string, (bytes: Buffer, signal: AbortSignal) => unknown>> = {
  '/classify': classify,
  '/worker': passingWorker,
  '/weights': (bytes) => {
    const file = join(scratch, `${uploads++ % 100}.caffemodel`);
    writeFileSync(file, bytes);
    return { layers: readCaffemodel(bytes, { file: 'upload.caffemodel' }).layers.length };
  },
  '/net': (bytes) => ({ layers: readNet(bytes.toString(), { file: 'upload.prototxt' }).layer?.length ?? 0 }),
  '/memory': () => {
    globalThis.gc?.();
    return { rss: process.memoryUsage().rss, device: device.memory() };
  },
};

const server = createServer(async (request, response) => {
  const abort = new AbortController();
  response.on('close', () => abort.abort(new Error('the client is gone')));
  const answer = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  try {
    answer(200, await ROUTES[request.url!]!(await bodyOf(request), abort.signal));
  } catch (error) {
    if (error instanceof ResnodeError) answer(422, { code: error.code });
    else if (!response.destroyed) answer(500, { error: String((error as Error)?.stack ?? error) });
  }
});
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as { port: number }).port }));
process.on('disconnect', () => {
  rmSync(scratch, { recursive: true, force: true });
  process.exit();
});
