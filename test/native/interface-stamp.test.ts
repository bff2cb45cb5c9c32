/** A library from another build than the addon's is refused before any of its functions is called. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { devices, openDevice } from '../../ts/index.ts';
import { loadBinding } from '../../ts/native/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-stamp-'));
test.after(() => rmSync(folder, { recursive: true }));

const KINDS = ['cpu', 'cuda', 'mpi'];
/** Functions that crash their caller. */
const SYMBOLS = ['resnode_create_backend', 'resnode_list_devices', 'resnode_open_communicator'];

/** Libraries of each kind in a folder of their own. */
function librariesOf(name: string, ...lines: string[]): string {
  const place = join(folder, name);
  mkdirSync(place);
  writeFileSync(
    join(place, 'library.c'),
    [...lines, ...SYMBOLS.map((symbol) => `void ${symbol}(void) { __builtin_trap(); }`)].join('\n'),
  );
  for (const kind of KINDS) {
    const words = ['-shared', '-fPIC', '-o', `libresnode_${kind}.so`, 'library.c'];
    const { status, stderr } = spawnSync('cc', words, { cwd: place, encoding: 'utf8' });
    assert.is(status, 0, stderr);
  }
  return place;
}

async function refusals(libraryFolder: string): Promise<readonly string[]> {
  const told = ({ code, message }: { code: string; message: string }) => `${code} ${message}`;
  const of = (opened: Promise<unknown>) => opened.then(() => 'opened', told);
  return [
    ...(await Promise.all([
      of(openDevice('cpu', { libraryFolder })),
      of(openDevice('cuda', { libraryFolder })),
      of((async () => loadBinding().binding.openCommunicator('mpi', libraryFolder))()),
    ])),
    `device/unavailable ${devices({ libraryFolder }).problem}`,
  ];
}

test('with another stamp, the error contains both and the cure', async () => {
  const place = librariesOf(
    'other',
    'const char* resnode_interface_stamp(void) { return "0123456789abcdef"; }',
  );
  for (const text of await refusals(place))
    assert.match(
      text,
      /^(device|communicator)\/unavailable .*libresnode_\w+\.so and the addon were built from different sources: its interface is 0123456789abcdef, the addon's [0-9a-f]{16}; build both again \(npm run build\), or install resnode again/,
    );
});

test('without a stamp, the error names what is missing', async () => {
  for (const text of await refusals(librariesOf('none')))
    assert.match(
      text,
      /^(device|communicator)\/unavailable .*is not a library of resnode, or belongs to another version: it lacks resnode_interface_stamp; build both again/,
    );
});

test.run();
