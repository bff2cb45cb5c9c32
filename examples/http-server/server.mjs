/**
 * Classifies images over HTTP: `node server.mjs MODEL_FOLDER`, then POST an image to /classify. PORT is 8080 by default.
 * GET /health answers 503 while the server shuts down, GET /metrics has metrics for Prometheus.
 */
import { createServer } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, register } from 'prom-client';
import { ClassifierError, ImageError } from 'resnode';
import { openClassifier } from 'resnode/images';

const MAX_BODY_BYTES = 10e6;

const [folder = '.'] = process.argv.slice(2);
const classifier = await openClassifier(folder, { maxQueue: 128, maxPixels: 25e6, timeout: 10 });

collectDefaultMetrics();
const seconds = new Histogram({ name: 'classify_seconds', help: 'Time from request to answer.' });
const answers = new Counter({ name: 'classify_answers_total', help: 'Answers by status.', labelNames: ['status'] });
new Gauge({
  name: 'classify_pending',
  help: 'Images that wait or are processed.',
  collect() {
    this.set(classifier.pending);
  },
});

/** @param {import('node:http').IncomingMessage} request */
async function bodyOf(request) {
  const pieces = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {AbortSignal} signal
 * @returns {Promise<[status: number, body: unknown]>}
 */
async function classify(request, signal) {
  const body = await bodyOf(request);
  if (body === null) return [413, { code: 'http/too-large', message: `at most ${MAX_BODY_BYTES} bytes` }];
  try {
    return [200, await classifier.classify(body, { top: 5, signal })];
  } catch (error) {
    if (error instanceof ImageError) return [422, { code: error.code, message: error.message }];
    // The queue is full, or the server shuts down; another server may have room.
    if (error instanceof ClassifierError) return [503, { code: error.code, message: error.message }];
    throw error;
  }
}

let isClosing = false;
const server = createServer(async (request, response) => {
  /**
   * @param {number} status
   * @param {unknown} body
   */
  const answer = (status, body) => {
    const isLast = isClosing || status === 413;
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(status === 503 ? { 'retry-after': '1' } : {}),
      ...(isLast ? { connection: 'close' } : {}),
    });
    response.end(JSON.stringify(body));
  };
  if (request.method === 'GET' && request.url === '/health')
    return answer(isClosing ? 503 : 200, { closing: isClosing, ...classifier.stats() });
  if (request.method === 'GET' && request.url === '/metrics') {
    response.setHeader('content-type', register.contentType);
    return response.end(await register.metrics());
  }
  if (request.method !== 'POST' || request.url !== '/classify') return answer(404, { code: 'http/not-found' });
  // If a client hangs up, its place in the queue becomes free.
  const abort = new AbortController();
  response.once('close', () => abort.abort());
  const stop = seconds.startTimer();
  try {
    const [status, body] = await classify(request, abort.signal);
    answer(status, body);
    answers.inc({ status });
  } catch (error) {
    if (abort.signal.aborted) return;
    console.error(error);
    answer(500, { code: 'http/internal' });
    answers.inc({ status: 500 });
  } finally {
    stop();
  }
});

/** Answers the accepted requests and accepts no more. */
async function close() {
  if (isClosing) return;
  isClosing = true;
  server.close();
  server.closeIdleConnections();
  await classifier.close();
}
process.on('SIGTERM', close);
process.on('SIGINT', close);

server.listen(Number(process.env.PORT ?? 8080), () => {
  const address = server.address();
  console.log(`listening on ${typeof address === 'string' ? address : address?.port}`);
});
