/** examples/fastify-server, as its README uses it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';
import { startExample } from './start-example.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const file = join(fashion, 'images/0000.png');

test('the Fastify server answers, refuses bodies that are no image, and ends at SIGTERM with status 0', async () => {
  const server = await startExample('fastify-server/server.mjs', [fashion], /listening on (\d+)/);
  const url = `http://127.0.0.1:${server.match[1]}`;
  const post = (body: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${url}/classify`, { method: 'POST', body, headers: { 'content-type': 'image/png' } });
  const response = await post(readFileSync(file));
  assert.is(response.status, 200);
  assert.is(((await response.json()) as { label: string }[])[0]!.label, 'Ankle boot');
  const broken = await post('no image');
  assert.equal([broken.status, ((await broken.json()) as { code: string }).code], [422, 'image/unreadable']);
  const full = await Promise.all(Array.from({ length: 300 }, () => post(readFileSync(file))));
  assert.equal(
    full.filter(({ status }) => status !== 200 && status !== 503).map(({ status }) => status),
    [],
  );
  assert.match(await (await fetch(`${url}/metrics`)).text(), /classify_pending 0/);
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, { code: 0, signal: null });
});

test.run();
