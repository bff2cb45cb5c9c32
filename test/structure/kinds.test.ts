/** Each kind of operation registers its functions in the files that define them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Row } from '../../ts/operations/row.ts';
import { schema } from '../../ts/operations/schema.ts';
import { repositoryFolder } from '../support/golden.ts';

const kinds = (Object.values(schema) as unknown as Row<never>[]).filter(
  ({ name, isElementwise, isPortable }) =>
    isElementwise !== true && isPortable !== true && name !== 'Gradient',
);

function textOf(folder: string, file: string): string {
  const root = join(repositoryFolder, folder);
  return readdirSync(root)
    .map((kind) => {
      try {
        return readFileSync(join(root, kind, file), 'utf8');
      } catch {
        return '';
      }
    })
    .join('');
}

test('every kind has reference loops, and a gradient if the schema says so', () => {
  const text = textOf('native/operations', 'reference.cc');
  assert.ok(kinds.length > 10);
  for (const { name, gradient } of kinds) {
    const registered = new RegExp(`const Loops<${name}> k${name}\\{forward(, backward)?\\};`).exec(text);
    assert.ok(registered, `no Loops<${name}> in native/operations/*/reference.cc`);
    assert.is(registered[1] !== undefined, gradient !== null, `the gradient of ${name}`);
  }
});

test.run();
