/** The files that are generated from ts/operations/schema.ts are current. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generated, generatedPath } from '../../scripts/generate-operations.ts';

for (const [name, text] of Object.entries(generated))
  test(`${name} agrees with the schema (npm run generate writes it)`, () => {
    assert.ok(readFileSync(generatedPath(name), 'utf8') === text, 'run: npm run generate');
  });

test.run();
