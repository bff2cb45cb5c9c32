/** RESNODE_TEST_EMULATED=built is refused if the build is older than its sources. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { requireBuilt } from '../support/emulated.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-built-'));
test.after(() => rmSync(folder, { recursive: true }));

test('libraries are at least as new as the newest source', () => {
  const stamp = join(folder, 'stamp');
  const refusal = /before (native|cuda|test\/cuda)\/\S+ changed: run npx tsx test\/support\/emulated\.ts/;
  assert.throws(() => requireBuilt(stamp), refusal);
  writeFileSync(stamp, String(Date.UTC(2000)));
  assert.throws(() => requireBuilt(stamp), refusal);
  writeFileSync(stamp, String(Date.now() + 1e6));
  requireBuilt(stamp);
});

test.run();
