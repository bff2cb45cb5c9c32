/** docs/options.md agrees with the tables. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OPTIONS_PAGE, optionsPage } from '../../scripts/options-page.ts';

test('docs/options.md agrees with the tables (npm run options-page writes it)', () => {
  assert.ok(readFileSync(OPTIONS_PAGE, 'utf8') === optionsPage(), 'run: npm run options-page');
});

test('every option has a description, and either a default or must be given', () => {
  const rows = optionsPage()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  assert.ok(rows.length > 300, `${rows.length} rows`);
  for (const row of rows)
    for (const cell of row.split(/(?<!\\)\|/).slice(1, -1)) assert.ok(cell.trim() !== '', row);
});

test.run();
