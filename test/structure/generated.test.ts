/** What is written from ts/operations/schema.ts says what it says. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generated, generatedPath } from '../../scripts/generate-operations.ts';

for (const [name, text] of Object.entries(generated))
  test(`${name} is what the schema says now (npm run generate writes it)`, () => {
    assert.ok(readFileSync(generatedPath(name), 'utf8') === text, 'run: npm run generate');
  });

test.run();
