/** The table of error codes is complete, and docs/errors.md is generated from it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRORS_PAGE, errorsPage } from '../../scripts/errors-page.ts';
import { type ErrorCode, errorCodes } from '../../ts/base/error-codes.ts';
import { ResnodeError } from '../../ts/base/errors.ts';
import { repositoryFolder } from '../support/golden.ts';

const codes = Object.keys(errorCodes) as ErrorCode[];

function sources(folder: string, ending: RegExp): string {
  const root = join(repositoryFolder, folder);
  return (readdirSync(root, { recursive: true }) as string[])
    .filter((name) => ending.test(name) && !name.endsWith('error-codes.ts'))
    .map((name) => readFileSync(join(root, name), 'utf8'))
    .join('\n');
}
const typescript = sources('ts', /\.ts$/);
const native = ['native', 'cuda'].map((folder) => sources(folder, /\.(cc|h|cu|cuh)$/)).join('\n');

test('docs/errors.md agrees with the table (npm run errors-page writes it)', () => {
  assert.ok(readFileSync(ERRORS_PAGE, 'utf8') === errorsPage(), 'run: npm run errors-page');
});

test('codes are sorted, and each has one sentence for its meaning and one for its cure', () => {
  assert.equal(codes, [...codes].sort());
  for (const code of codes) {
    assert.match(code, /^[a-z0-9]+\/[a-z0-9-]+$/);
    for (const sentence of errorCodes[code]) assert.match(sentence, /^[^\s].*[.)]$/, code);
  }
});

test('an unknown code does not compile', () => {
  // @ts-expect-error: there is no such code
  assert.is(new ResnodeError('graph/no-such-code', '').code, 'graph/no-such-code');
});

test('every code that native code throws is in the table', () => {
  const thrown = [...native.matchAll(/Error\(\s*"([a-z]+\/[a-z-]+)"/g)].map(([, code]) => code!);
  assert.ok(thrown.length > 40, `${thrown.length} codes`);
  assert.equal(
    thrown.filter((code) => !Object.hasOwn(errorCodes, code)),
    [],
  );
});

test('every code in the table is thrown somewhere', () => {
  const said = `${typescript}\n${native}`;
  const isSaid = (word: string) => said.includes(`'${word}'`) || said.includes(`"${word}"`);
  const unused = codes.filter((code) => {
    const what = code.split('/')[1]!;
    // Composed codes: `${area}/${what}`, `hdf5-${kind}`, `${bottom or top}-count`.
    return ![code, what, what.replace(/^hdf5-/, ''), what.replace(/-count$/, '')].some(isSaid);
  });
  assert.equal(unused, []);
});

test.run();
