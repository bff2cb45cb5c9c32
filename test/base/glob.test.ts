/** File name patterns expand as bash expands them with globstar. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { glob, isGlob } from '../../ts/base/glob.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-glob-'));
test.after(() => rmSync(root, { recursive: true }));
for (const file of ['a.png', 'b.jpg', 'c(1).png', '.h.png', 'x/a.png', 'x/y/d.jpg', 'x/.z/e.png']) {
  mkdirSync(join(root, file, '..'), { recursive: true });
  writeFileSync(join(root, file), '');
}
symlinkSync(root, join(root, 'x/circle'));
symlinkSync(join(root, 'x/y'), join(root, 'link'));
const found = (pattern: string) => glob(join(root, pattern)).map((file) => relative(root, file));

for (const [pattern, files] of [
  ['*.png', ['a.png', 'c(1).png']],
  ['.*.png', ['.h.png']],
  ['*.{png,jpg}', ['a.png', 'b.jpg', 'c(1).png']],
  ['?.[jp]*', ['a.png', 'b.jpg']],
  ['[!a].*', ['b.jpg']],
  ['c(*.png', ['c(1).png']],
  ['**/*.png', ['a.png', 'c(1).png', 'x/a.png']],
  ['**/d.jpg', ['x/y/d.jpg']],
  ['x/**', ['x/a.png', 'x/y/d.jpg']],
  ['*/d.jpg', ['link/d.jpg']],
  ['*/*/d.jpg', ['x/y/d.jpg']],
  ['none*', []],
  ['none/*', []],
] as const)
  test(`${pattern} matches ${files.join(', ') || 'nothing'}`, () => assert.equal(found(pattern), [...files]));

test('a path is a pattern where it has *, ?, [ or {', () => {
  assert.equal(['a*', 'b?', '[c]', '{d,e}', 'f(1).png'].map(isGlob), [true, true, true, true, false]);
});

test.run();
