/** The files that are generated from ts/operations/schema.ts and from the rules of ts/layers are current. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generated, generatedPath } from '../../scripts/generate-operations.ts';
import { LAYERS_PAGE, layersPage } from '../../scripts/layers-page.ts';

for (const [name, text] of Object.entries(generated))
  test(`${name} agrees with the schema (npm run generate writes it)`, () => {
    assert.ok(readFileSync(generatedPath(name), 'utf8') === text, 'run: npm run generate');
  });

test('docs/layers.md agrees with the rules (npm run layers-page writes it)', () => {
  assert.ok(readFileSync(LAYERS_PAGE, 'utf8') === layersPage(), 'run: npm run layers-page');
});

test.run();
