/** The classification server of ../http-server on Fastify: `node server.mjs MODEL_FOLDER`. PORT is 8080 by default. */
import Fastify from 'fastify';
import { collectDefaultMetrics, Gauge, register } from 'prom-client';
import { ClassifierError, ImageError } from 'resnode';
import { openClassifier } from 'resnode/images';

const [folder = '.'] = process.argv.slice(2);
const classifier = await openClassifier(folder, { maxQueue: 128, maxPixels: 25e6, timeout: 10 });

collectDefaultMetrics();
new Gauge({
  name: 'classify_pending',
  help: 'Images that wait or are under way.',
  collect() {
    this.set(classifier.pending);
  },
});

const server = Fastify({ bodyLimit: 10e6 });
// Whatever the content type, because the classifier examines the bytes.
server.removeAllContentTypeParsers();
server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

server.post('/classify', async (request, reply) => {
  // If a client hangs up, its place in the queue becomes free.
  const abort = new AbortController();
  reply.raw.once('close', () => abort.abort());
  return classifier.classify(/** @type {Buffer} */ (request.body), { signal: abort.signal });
});
server.get('/health', () => classifier.stats());
server.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()));

server.setErrorHandler((error, _request, reply) => {
  if (error instanceof ClassifierError) reply.header('retry-after', '1').code(503);
  else if (error instanceof ImageError) reply.code(422);
  else reply.code(/** @type {import('fastify').FastifyError} */ (error).statusCode ?? 500);
  const { code, message } = /** @type {import('fastify').FastifyError} */ (error);
  return reply.send({ code, message });
});

// Fastify stops accepting connections and answers the open ones; after that the classifier can close.
server.addHook('onClose', () => classifier.close());
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close());

await server.listen({ port: Number(process.env.PORT ?? 8080) });
const address = server.addresses()[0];
console.log(`listening on ${typeof address === 'object' ? address.port : address}`);
