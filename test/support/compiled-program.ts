/** Programs of C++ that test native code without the addon. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from './golden.ts';

/**
 * Compiles a program into a temporary folder, which is removed after the tests. That it compiles is a case.
 * @param sources Files of the repository.
 * @param flags For the compiler, sanitizers for instance.
 * @returns The program's path.
 */
export function compileProgram(sources: readonly string[], flags: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-program-'));
  test.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'program');
  const { status, stderr, error } = spawnSync(
    'c++',
    [
      ...['-std=c++17', '-O1', '-Wall', '-Wextra', ...flags],
      ...[`-I${repositoryFolder}`, '-o', program, ...sources.map((file) => join(repositoryFolder, file))],
    ],
    { encoding: 'utf8' },
  );
  test('compiles', () => assert.is(status, 0, stderr || String(error)));
  return program;
}

/**
 * Runs a program that prints `ok NAME` or `failed NAME` for each of its cases, which become cases here.
 * @param count How many there are.
 * @param name The name of the case that all of them are there and the program ended well.
 */
export function testCasesOf(program: string, count: number, name: string): void {
  const { stdout, stderr, status } = spawnSync(program, { encoding: 'utf8', timeout: 300_000 });
  for (const [, outcome, text] of stdout?.matchAll(/^(ok|failed) ([^\n]*)$/gm) ?? [])
    test(text!, () => assert.is(outcome, 'ok'));
  test(name, () => {
    assert.is([...stdout.matchAll(/^ok /gm)].length, count);
    assert.is(status, 0, stderr);
  });
}
