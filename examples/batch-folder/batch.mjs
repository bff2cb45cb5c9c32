/**
 * Classifies every image of a folder and its subfolders and writes JSON lines:
 * `node batch.mjs MODEL_FOLDER IMAGES results.jsonl`. Files are listed while others are computed, so a million of them
 * take no more memory than a hundred. A second run continues where the first one ended.
 */
import { once } from 'node:events';
import { createReadStream, createWriteStream, existsSync, truncateSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ResnodeError } from 'resnode';
import { openClassifier } from 'resnode/images';

const IMAGE = /\.(jpe?g|png|webp|gif|tiff?|bmp|p[bgp]m)$/i;
/** The number of images that are processed at once: enough for full batches while others are decoded. */
const AT_ONCE = 32;

const [model, images, results] = process.argv.slice(2);
if (model === undefined || images === undefined || results === undefined) {
  console.error('usage: node batch.mjs MODEL_FOLDER IMAGES results.jsonl');
  process.exit(2);
}

/**
 * The files that an earlier run has answered. An incomplete last line is removed.
 * @param {string} path
 */
async function answeredFiles(path) {
  /** @type {Set<string>} */
  const files = new Set();
  if (!existsSync(path)) return files;
  let whole = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    try {
      files.add(JSON.parse(line).file);
    } catch {
      break;
    }
    whole += Buffer.byteLength(line) + 1;
  }
  truncateSync(path, whole);
  return files;
}

/**
 * @param {string} folder
 * @returns {AsyncGenerator<string>}
 */
async function* imagesIn(folder) {
  for await (const entry of await opendir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* imagesIn(path);
    else if (IMAGE.test(entry.name)) yield path;
  }
}

const done = await answeredFiles(results);
const before = done.size;
const output = createWriteStream(results, { flags: 'a' });
const classifier = await openClassifier(model);
let [served, failed] = [0, 0];

/**
 * Writes the line of one file; a broken file does not stop the others.
 * @param {string} file
 */
async function answer(file) {
  let line;
  try {
    line = { file, classes: await classifier.classify(file) };
    served++;
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    line = { file, error: { code: error.code, message: error.message } };
    failed++;
  }
  if (!output.write(`${JSON.stringify(line)}\n`)) await once(output, 'drain');
}

/** @type {Set<Promise<void>>} */
const running = new Set();
for await (const file of imagesIn(images)) {
  if (done.delete(file)) continue;
  const work = answer(file).finally(() => running.delete(work));
  running.add(work);
  if (running.size >= AT_ONCE) await Promise.race(running);
}
await Promise.all(running);
await classifier.close();
output.end();
await once(output, 'finish');
console.log(`${served} images classified, ${failed} failed, ${before} were done before`);
process.exitCode = failed > 0 ? 1 : 0;
