import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkCudnn, checkDriver, checkNode, diagnose } from '../../ts/runtime/doctor.ts';
import { findCudnn } from '../../ts/runtime/nvidia.ts';

/** A machine that has only these files. */
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
  'sys/bus/pci/devices/0000:01:00.1/vendor': '0x10de\n', // its sound
  'sys/bus/pci/devices/0000:01:00.1/class': '0x040300\n',
};
const moduleOf = (version: string) => ({
  'proc/driver/nvidia/version': `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  ${version}  Release Build  (builder)\nGCC version:  gcc 12.2.0\n`,
});

test('here: the addon loads, the CPU device works, and every gap says what mends it or that nothing can', async () => {
  const { ok, findings } = await diagnose();
  assert.is(ok, true);
  const found = new Map(findings.map((finding) => [finding.name, finding]));
  assert.is(found.get('addon')!.ok, true);
  assert.match(found.get('CPU device')!.found, /^threads \d+, oneDNN 2\.\d+\.\d+, instruction set /);
  assert.match(found.get('glibc')!.found, /^2\.\d+$/);
});

test('driver: no GPU at all needs no mending; a GPU without a driver does', () => {
  const bare = machineWith({});
  const none = checkDriver(bare);
  assert.is(none.ok, false);
  assert.is(none.mend, undefined);
  assert.ok(none.tried!.length > 0);
  const withCard = machineWith(card);
  const undriven = checkDriver(withCard);
  assert.match(undriven.found, /1 NVIDIA GPU/);
  assert.match(undriven.mend!, /driver 580 or later/);
  bare.remove();
  withCard.remove();
});

test('driver: a container without libcuda, an old driver, a good one', () => {
  const container = machineWith({ ...card, ...moduleOf('580.95.05') });
  assert.match(checkDriver(container).mend!, /--gpus all/);
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
  for (const machine of [container, old, good]) machine.remove();
});

test('cuDNN: what was asked for comes first, then the loader, the system, the wheel; every path is told', () => {
  const wheel = 'opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9';
  const files = {
    'opt/venv/bin/python3': '',
    [wheel]: '',
    'usr/lib64/libcudnn.so.9': '',
    'own/libcudnn.so.9': '',
    'loader/libcudnn.so.9': '',
  };
  const machine = machineWith(files, {
    RESNODE_CUDNN: '/own',
    LD_LIBRARY_PATH: '/loader',
    PATH: '/opt/venv/bin', // its python3 says where to look: an activated environment or not
  });
  const expected = ['own/libcudnn.so.9', 'loader/libcudnn.so.9', 'usr/lib64/libcudnn.so.9', wheel];
  for (const path of expected) {
    assert.is(findCudnn(machine).path, `/${path}`);
    rmSync(join(machine.root, path));
  }
  const { ok, tried, mend } = checkCudnn(machine);
  assert.is(ok, false);
  for (const path of expected) assert.ok(tried!.includes(`/${path}`), path);
  assert.is(mend, 'pip install nvidia-cudnn-cu13');
  machine.remove();
});

test('an old Node is named', () => {
  assert.is(checkNode('18.20.0').ok, false);
  assert.is(checkNode('20.0.0').ok, true);
});

test.run();
