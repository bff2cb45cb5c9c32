/** Runs every *.test.ts in a process of its own, so that one crash cannot hide the others, and counts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const files = (readdirSync(folder, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.test.ts'))
  .sort();
// What devices measure does not go to the user's cache, and nothing measured before decides what is tested.
const cache = mkdtempSync(join(tmpdir(), 'resnode-cache-'));
let passed = 0;
let failed = 0;
for (const file of files) {
  const run = spawnSync(process.execPath, ['--import', 'tsx', join(folder, file)], {
    encoding: 'utf8',
    timeout: 900_000,
    env: { ...process.env, XDG_CACHE_HOME: cache },
  });
  const output = `${run.stdout}${run.stderr}`;
  const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
  const good = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
  const crashed = run.status !== 0 && total === good;
  passed += good;
  failed += total - good + (crashed || total === 0 ? 1 : 0);
  console.log(
    `${relative(process.cwd(), join(folder, file))}: ${good} of ${total}${crashed ? `, ended with ${run.signal ?? run.status}` : ''}`,
  );
  if (run.status !== 0 || total === 0) console.log(output);
  for (const line of output.split('\n')) if (/^(skipped|figures):/.test(line)) console.log(`  ${line}`);
}
rmSync(cache, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
