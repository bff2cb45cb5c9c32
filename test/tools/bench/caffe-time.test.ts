/** The log of a real `caffe time` (BVLC Caffe, LeNet on a CPU, 50 iterations), and fake Caffe tools. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ResnodeError } from '../../../ts/base/errors.ts';
import { parseCaffeTime, runCaffeTime } from '../../../ts/tools/bench/caffe-time.ts';

const log = readFileSync(new URL('fixtures/caffe-time-lenet-cpu.txt', import.meta.url), 'utf8');
const isLogError = (error: unknown) => error instanceof ResnodeError && error.code === 'bench/caffe-log';

test('every figure of a real log is read, with forward and backward separate', () => {
  const time = parseCaffeTime(log);
  assert.is(time.iterations, 50);
  assert.equal(time.forwardBackward.slice(0, 6), [34, 34, 34, 28, 24, 23]);
  assert.is(time.forwardBackward.length, 50);
  assert.is(time.averageForward, 11.7583);
  assert.is(time.averageBackward, 12.8473);
  assert.is(time.averageForwardBackward, 24.64);
  assert.equal(
    time.layers.map(({ name }) => name),
    ['mnist', 'conv1', 'pool1', 'conv2', 'pool2', 'ip1', 'relu1', 'ip2', 'loss'],
  );
  assert.equal(time.layers[3], { name: 'conv2', forward: 4.01876, backward: 7.17916 });
  assert.is(time.device, null);
});

test('the layers add up to the averages that Caffe prints', () => {
  const time = parseCaffeTime(log);
  const sum = (direction: 'forward' | 'backward') =>
    time.layers.reduce((total, layer) => total + layer[direction], 0);
  assert.ok(Math.abs(sum('forward') / time.averageForward - 1) < 0.01);
  assert.ok(Math.abs(sum('backward') / time.averageBackward - 1) < 0.01);
});

test('exponents, Windows line ends, layers with equal names and the device are understood', () => {
  const changed = log
    .replace('forward: 4.01876 ms', 'forward: 3.68935e+02 ms')
    .replaceAll('      relu1\t', '      conv1\t')
    .replaceAll('\n', '\r\n');
  const time = parseCaffeTime(`I0820 09:52:13.1 4075 caffe.cpp:339] Use CPU.\n${changed}`);
  assert.is(time.layers[3]!.forward, 368.935);
  assert.is(time.device, 'CPU');
  assert.equal(
    time.layers.filter(({ name }) => name === 'conv1').map(({ backward }) => backward),
    [1.70178, 0.03644],
  );
});

test('a log that ends early, or is invalid, is refused with what is missing', () => {
  const lines = log.split('\n');
  assert.throws(() => parseCaffeTime(lines.slice(0, 30).join('\n'), 'a.log'), isLogError);
  assert.throws(
    () => parseCaffeTime(lines.slice(0, -4).join('\n'), 'a.log'),
    /a\.log: expected "Average Forward-Backward/,
  );
  assert.throws(() => parseCaffeTime('', 'a.log'), /Testing for/);
  assert.throws(
    () =>
      parseCaffeTime('F0820 09:52:13.1 4075 io.cpp:36] Check failed: fd != -1 (-1 vs. -1) File not found: x'),
    /File not found/,
  );
});

test('the tool is run with the net, the iterations and the threads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-caffe-'));
  try {
    const tool = join(folder, 'caffe');
    writeFileSync(join(folder, 'log'), log);
    writeFileSync(tool, `#!/bin/sh\necho "$@ $OMP_NUM_THREADS" >${folder}/words\ncat ${folder}/log >&2\n`);
    chmodSync(tool, 0o755);
    const time = await runCaffeTime(tool, 'net.prototxt', { iterations: 50, threads: 2 });
    assert.is(time.averageForward, 11.7583);
    assert.is(
      readFileSync(join(folder, 'words'), 'utf8').trim(),
      'time -model=net.prototxt -iterations=50 2',
    );
    const missing = await runCaffeTime(join(folder, 'none'), 'net.prototxt').catch((error: unknown) => error);
    assert.instance(missing, ArgumentError);
    assert.match((missing as Error).message, /none \(ENOENT\)/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
