/** The file that keeps this machine's measurements: damaged lines are reported and measured again. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, openDevice } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-cache-'));
test.after(() => rmSync(folder, { recursive: true }));
// Lines that native code wrote, with their proofs.
const WHOLE =
  'cpu\tAMD EPYC\t0.1.0\tAVX-512 threads 2 2x16x8x8 to 16x8x8 kernel 3x3 stride 1x1 pad 1x1 dilation 1x1\tdirect\t6.770\t9096f46b33a78b34\n' +
  'cpu\tAMD EPYC\t0.1.0\tAVX-512 threads 2 2x32x4x4 to 32x4x4 kernel 3x3 stride 1x1 pad 1x1 dilation 1x1\tWinograd 4×4\t6.750\t90d30788dae5082c\n';
let count = 0;

/** The warnings of a device that opens this file. */
async function warningsOf(
  write: (file: string) => void,
  options: { tune?: boolean } = {},
): Promise<string[]> {
  const cacheFolder = join(folder, String(count++));
  mkdirSync(cacheFolder);
  write(join(cacheFolder, 'convolutions-1.txt'));
  const heard: string[] = [];
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === 'device/tuning-cache') heard.push(warning.message);
  };
  process.on('warning', listen);
  const device: Device | Error = await openDevice('cpu', { threads: 1, cacheFolder, ...options }).catch(
    (error) => error,
  );
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  if (device instanceof Error) console.log(`skipped: opening the device: ${device.message}`);
  else device.dispose();
  return heard;
}

test('an intact file, an empty one and a missing one give no warning', async () => {
  assert.equal(await warningsOf((file) => writeFileSync(file, WHOLE)), []);
  assert.equal(await warningsOf((file) => writeFileSync(file, '')), []);
  assert.equal(await warningsOf(() => {}), []);
});

test('lines that are changed, truncated or invalid are counted in a warning, and the device opens', async () => {
  for (const [content, damage] of [
    [WHOLE.replace('6.770', '6.771'), '1 of 2 lines'],
    [WHOLE.replace('AMD EPYC', 'AMD EPYX'), '1 of 2 lines'],
    [WHOLE.slice(0, -9), '1 of 2 lines'],
    [`${WHOLE}\u0000\u0000\u0000`, '1 of 3 lines'],
    ['{"json": true}\n', '1 of 1 lines'],
  ] as const) {
    const [warning, ...others] = await warningsOf((file) => writeFileSync(file, content));
    assert.match(warning ?? '', /convolutions-1\.txt: .* damaged; they are measured again/);
    assert.ok(warning!.includes(damage), warning);
    assert.equal(others, []);
  }
});

test('a folder or a binary file in its place gives a warning', async () => {
  const ofFolder = await warningsOf((file) => mkdirSync(file));
  assert.match(ofFolder.join(), /is a folder; .* until you remove it/);
  assert.match((await warningsOf((file) => symlinkSync('/dev/null', file))).join(), /not a regular file/);
  const binary = readFileSync(process.execPath).subarray(0, 4096);
  assert.match((await warningsOf((file) => writeFileSync(file, binary))).join(), /are damaged/);
});

test('nothing is read if nothing is measured', async () => {
  assert.equal(await warningsOf((file) => writeFileSync(file, 'x'), { tune: false }), []);
});

test.run();
