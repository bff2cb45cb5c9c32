import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DeviceError } from '../../ts/base/errors.ts';
import { findDriver, hasNvidiaGpu } from '../../ts/device/nvidia.ts';
import { checkCudnn, checkDriver, checkGpus, checkNode, diagnose } from '../../ts/tools/doctor.ts';

/** A fake machine with only these files. */
function machineWith(files: Record<string, string>, environment: Record<string, string> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'resnode-doctor-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { root, environment, remove: () => rmSync(root, { recursive: true }) };
}
const card = {
  'sys/bus/pci/devices/0000:01:00.0/vendor': '0x10de\n',
  'sys/bus/pci/devices/0000:01:00.0/class': '0x030200\n',
  'sys/bus/pci/devices/0000:01:00.1/vendor': '0x10de\n', // its sound device
  'sys/bus/pci/devices/0000:01:00.1/class': '0x040300\n',
};
const moduleOf = (version: string) => ({
  'proc/driver/nvidia/version': `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  ${version}  Release Build  (builder)\nGCC version:  gcc 12.2.0\n`,
});

test('here the addon loads, the CPU device works, and every problem has a cure or says that there is none', async () => {
  const { ok, findings } = await diagnose();
  assert.is(ok, true);
  const found = new Map(findings.map((finding) => [finding.name, finding]));
  assert.is(found.get('addon')!.ok, true);
  assert.match(found.get('CPU device')!.found, /^threads \d+, oneDNN opened on demand, instruction set /);
  assert.match(found.get('oneDNN')!.found, /^2\.\d+\.\d+, /);
  assert.match(found.get('glibc')!.found, /^2\.\d+$/);
});

test('driver: a missing GPU needs no cure, a GPU without a driver does', () => {
  const bare = machineWith({});
  const none = checkDriver(bare);
  assert.is(none.ok, false);
  assert.is(none.fix, undefined);
  assert.ok(none.tried!.length > 0);
  const withCard = machineWith(card);
  const undriven = checkDriver(withCard);
  assert.match(undriven.found, /1 NVIDIA GPU/);
  assert.match(undriven.fix!, /driver 580 or later/);
  bare.remove();
  withCard.remove();
});

test('driver: a container without libcuda, an old driver, a good one', () => {
  const container = machineWith({ ...card, ...moduleOf('580.95.05') });
  assert.match(checkDriver(container).fix!, /--gpus all/);
  const library = { 'usr/lib/x86_64-linux-gnu/libcuda.so.1': '' };
  const old = machineWith({ ...card, ...moduleOf('535.247.01'), ...library });
  assert.is(checkDriver(old).ok, false);
  assert.match(checkDriver(old).found, /535\.247\.01.*too old/);
  const good = machineWith({ ...card, ...moduleOf('580.95.05'), ...library });
  const finding = checkDriver(good);
  assert.is(finding.ok, true);
  assert.equal(finding.details, {
    version: '580.95.05',
    path: '/usr/lib/x86_64-linux-gnu/libcuda.so.1',
    gpus: 1,
  });
  assert.match(checkDriver(old).fix!, /driver 580 or later.*from 450 on.*build-cuda11\.sh/);
  assert.is(checkDriver(old, 450).ok, true);
  const ancient = machineWith({ ...card, ...moduleOf('418.226.00'), ...library });
  assert.match(checkDriver(ancient, 450).fix!, /driver 450 or later/);
  for (const machine of [container, old, good, ancient]) machine.remove();
});

test('a GPU exists if one is on the PCI bus, or its device file or library exists', () => {
  const machines = [
    [false, machineWith({})],
    [false, machineWith({ ...card, 'sys/bus/pci/devices/0000:01:00.0/vendor': '0x1002\n' })],
    [true, machineWith(card)],
    [true, machineWith({ 'dev/nvhost-ctrl-gpu': '' })],
    [true, machineWith({ 'usr/lib/wsl/lib/libcuda.so.1': '' })],
  ] as const;
  for (const [isThere, machine] of machines) {
    assert.is(hasNvidiaGpu(machine), isThere);
    machine.remove();
  }
});

test('driver: the loader path comes before the usual folders', () => {
  const machine = machineWith(
    { 'own/libcuda.so.1': '', 'usr/lib64/libcuda.so.1': '' },
    { LD_LIBRARY_PATH: '/none:/own' },
  );
  assert.is(findDriver(machine).path, '/own/libcuda.so.1');
  assert.equal(findDriver(machine).tried, ['/none/libcuda.so.1', '/own/libcuda.so.1']);
  machine.remove();
});

test('cuDNN: where there is no driver, it need not be installed', () => {
  const cudnnTried = [['/a/libcudnn.so.9', 'no such file']] as const;
  const { found, fix } = checkCudnn({ cudnn: null, cudnnTried, driver: null });
  assert.is(found, 'none; without a driver none is needed');
  assert.is(fix, undefined);
});

test('cuDNN: every path that was tried is listed, with the outcome', () => {
  const missing = checkCudnn({ cudnn: null, cudnnTried: [['/a/libcudnn.so.9', 'no such file']] });
  assert.equal(missing.tried, ['/a/libcudnn.so.9: no such file']);
  assert.is(missing.fix, 'pip install nvidia-cudnn-cu13');
  for (const [driver, major] of [
    ['11.4', 11],
    ['12.2', 12],
    ['13.0', 13],
    ['10.2', 11],
  ] as const) {
    const list = { cudnn: null, cudnnTried: [['/a/libcudnn.so.9', 'no such file']] as const, driver };
    assert.is(checkCudnn(list).fix, `pip install nvidia-cudnn-cu${major}`);
  }
  const lacking = 'it needs libcublasLt.so.13, which was not found: pip install nvidia-cublas';
  const alone = checkCudnn({ cudnn: null, cudnnTried: [['/a/libcudnn.so.9', lacking]] });
  assert.is(alone.fix, 'pip install nvidia-cublas');
  const found = checkCudnn({ cudnn: { version: '9.14.0', path: '/b/libcudnn.so.9' }, cudnnTried: [] });
  assert.is(found.ok, true);
  assert.is(found.found, '9.14.0, /b/libcudnn.so.9');
});

test('GPUs are listed with their memory; one that cannot be opened has its reason', () => {
  const memory = { free: 2 ** 30, total: 2 ** 31 };
  const gpu = { device: 'cuda:0', name: 'a GPU', computeCapability: '9.0', memory, properties: {} };
  const list = { devices: [gpu], problem: null };
  assert.is(checkGpus(list, {}).found, 'cuda:0 a GPU, compute capability 9.0, 2.0 GiB, 1.0 GiB free');
  const closed = checkGpus(list, new DeviceError('device/unavailable', 'cuda:0', 'the driver is too old'));
  assert.is(closed.ok, false);
  assert.match(closed.found, /a GPU.*; but: the driver is too old$/);
});

test('an old Node version is reported', () => {
  assert.is(checkNode('18.20.0').ok, false);
  assert.is(checkNode('20.0.0').ok, true);
});

test.run();
