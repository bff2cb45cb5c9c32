/** examples/http-server as a client sees it: answers, errors by status, a full queue, shutdown. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';
import { startExample } from './start-example.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const image = readFileSync(join(fashion, 'images/0000.png'));
const server = await startExample('http-server/server.mjs', [fashion], /listening on (\d+)/);
const url = `http://127.0.0.1:${server.match[1]}`;
const post = (body: Uint8Array<ArrayBuffer>, path = '/classify') =>
  fetch(`${url}${path}`, { method: 'POST', body });

test('an image in the body is answered with its most probable classes', async () => {
  const response = await post(image);
  assert.is(response.status, 200);
  const classes = (await response.json()) as { label: string; probability: number }[];
  assert.is(classes.length, 5);
  assert.is(classes[0]!.label, 'Ankle boot');
  assert.ok(classes[0]!.probability > 0.9);
});

test('a body that is no image gives 422 with a code, one that is too large 413, another path 404', async () => {
  const broken = await post(Buffer.from('no image'));
  assert.equal([broken.status, ((await broken.json()) as { code: string }).code], [422, 'image/unreadable']);
  assert.is((await post(Buffer.alloc(11e6)).catch(() => ({ status: 413 }))).status, 413);
  assert.is((await post(image, '/elsewhere')).status, 404);
});

test('requests beyond the queue get 503 with Retry-After, and all others are answered', async () => {
  const responses = await Promise.all(Array.from({ length: 400 }, () => post(image)));
  const counts = new Map<number, number>();
  for (const { status, headers } of responses) {
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (status === 503) assert.is(headers.get('retry-after'), '1');
  }
  assert.ok(counts.get(200)! >= 128, JSON.stringify([...counts]));
  assert.is((counts.get(200) ?? 0) + (counts.get(503) ?? 0), 400);
});

test('health and metrics count the served requests', async () => {
  const health = (await (await fetch(`${url}/health`)).json()) as { served: number; pending: number };
  assert.ok(health.served >= 129);
  assert.is(health.pending, 0);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /classify_answers_total\{status="422"\} 1/);
  assert.match(metrics, /^classify_pending 0$/m);
});

/** The number of requests that have reached the classifier, answered or not. */
async function taken(): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const values = metrics.matchAll(/^classify_(?:answers_total\{.*\}|pending) (\d+)$/gm);
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}

test('SIGTERM answers accepted requests and ends with status 0', async () => {
  const before = await taken();
  const last = Promise.all(Array.from({ length: 20 }, () => post(image)));
  while ((await taken()) < before + 20) await new Promise((resolve) => setTimeout(resolve, 5));
  server.process.kill('SIGTERM');
  for (const { status } of await last) assert.ok(status === 200 || status === 503, String(status));
  assert.equal(await server.ended, { code: 0, signal: null });
});

test.run();
