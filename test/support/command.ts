/** How tests start Node on TypeScript, dozens of times: the command, and scripts of their own. */
import { join, relative, resolve } from 'node:path';
import { LATER } from '../../scripts/v8-flags.mjs';
import { repositoryFolder } from './golden.ts';

/**
 * Node's arguments that run `source`, a path from the repository's folder or an absolute one below it, before its own
 * words. test/run.ts compiles everything once for many files and says where (RESNODE_TEST_COMPILED), since sources take
 * three times as long to start; a file that is run by itself takes the sources. Only where a test fails are the lines of
 * its source worth the reading of maps.
 */
export function nodeArguments(
  source: string,
  compiled = process.env.RESNODE_TEST_COMPILED ?? null,
): readonly string[] {
  const isTest = source.endsWith('.test.ts');
  const files = (isTest ? ['test/support/whole-file.ts', source] : [source]).map((each) =>
    resolve(repositoryFolder, each),
  );
  if (compiled === null) return ['--import', import.meta.resolve('tsx'), ...files];
  const maps = isTest ? ['--enable-source-maps'] : [];
  const place = (path: string) => join(compiled, compiledPath(relative(repositoryFolder, path)));
  return [...LATER, ...maps, ...files.map(place)];
}

/**
 * Node's arguments that run a module given as text, with its own flags before them.
 * @param write Writes it; `place` gives what it imports a source by, in quotes.
 */
export function scriptArguments(write: (place: (source: string) => string) => string): readonly string[] {
  const compiled = process.env.RESNODE_TEST_COMPILED ?? null;
  const place = (source: string) =>
    JSON.stringify(compiled === null ? join(repositoryFolder, source) : join(compiled, compiledPath(source)));
  const flags = compiled === null ? ['--import', import.meta.resolve('tsx')] : LATER;
  return [...flags, '--input-type=module', '-e', write(place)];
}

/** Where test/compile.ts puts what it makes of a file; both paths are relative. */
export function compiledPath(source: string): string {
  const [folder, ...rest] = source.replace(/\.ts$/, '.js').split('/');
  return folder === 'ts' ? join(...rest) : join('other', folder!, ...rest);
}

/** Node's arguments that run the command. */
export const COMMAND: readonly string[] = nodeArguments('ts/cli/main.ts');
