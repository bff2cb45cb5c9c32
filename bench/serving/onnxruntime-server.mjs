/**
 * The peer: the same paths as examples/http-server, on onnxruntime-node with one run per request, as its documentation
 * shows. `node onnxruntime-server.mjs MODEL_FOLDER`, which holds model.onnx. ALLOW_SPINNING: whether its threads spin.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { collectDefaultMetrics, register } from 'prom-client';
import sharp from 'sharp';

const [folder = '.'] = process.argv.slice(2);
const { ALLOW_SPINNING: spinning } = process.env;
const session = await ort.InferenceSession.create(join(folder, 'model.onnx'), {
  ...(spinning === undefined
    ? {}
    : { extra: { session: { intra_op: { allow_spinning: spinning }, inter_op: { allow_spinning: spinning } } } }),
});
const [input] = session.inputNames;
const [output] = session.outputNames;
collectDefaultMetrics();

/**
 * B, G, R minus MSRA's mean, shorter side 256, centre 224.
 * @param {Buffer} bytes
 */
async function classify(bytes) {
  const { data, info } = await sharp(bytes)
    .resize(256, 256, { fit: 'outside', kernel: 'linear' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [left, top] = [(info.width - 224) >> 1, (info.height - 224) >> 1];
  const values = new Float32Array(3 * 224 * 224);
  const mean = [103.063, 115.903, 123.152];
  for (let c = 0, at = 0; c < 3; c++)
    for (let y = 0; y < 224; y++)
      for (let x = 0; x < 224; x++)
        values[at++] = /** @type {number} */ (data[((y + top) * info.width + x + left) * 3 + 2 - c]) - /** @type {number} */ (mean[c]);
  const results = await session.run({ [/** @type {string} */ (input)]: new ort.Tensor('float32', values, [1, 3, 224, 224]) });
  const scores = /** @type {Float32Array} */ (results[/** @type {string} */ (output)]?.data);
  return Array.from(scores, (probability, index) => ({ index, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, 5);
}

const server = createServer(async (request, response) => {
  if (request.url === '/metrics') return response.end(await register.metrics());
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(await classify(Buffer.concat(pieces))));
});
server.listen(Number(process.env.PORT ?? 8080), () => {
  const address = server.address();
  console.log(`listening on ${typeof address === 'string' ? address : address?.port}`);
});
