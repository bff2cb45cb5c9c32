/** How tests start Node on TypeScript, dozens of times: the command line, and scripts of their own. */
import { join, relative, resolve } from 'node:path';
import { LATER } from '../../scripts/v8-flags.mjs';
import { repositoryFolder } from './golden.ts';

/**
 * Node's arguments that run `source`, a path from the repository's folder or an absolute one below it. Further
 * arguments are the source's own. test/run.ts compiles everything once for many files and passes the folder
 * (RESNODE_TEST_COMPILED), because sources take three times as long to start. A file that is run on its own uses the
 * sources. Source maps are read only if a test fails.
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
 * Node's arguments that run a module given as text, preceded by its own flags.
 * @param write Writes it; `place` returns the quoted specifier by which it imports a source.
 */
export function scriptArguments(write: (place: (source: string) => string) => string): readonly string[] {
  const compiled = process.env.RESNODE_TEST_COMPILED ?? null;
  const place = (source: string) =>
    JSON.stringify(compiled === null ? join(repositoryFolder, source) : join(compiled, compiledPath(source)));
  const flags = compiled === null ? ['--import', import.meta.resolve('tsx')] : LATER;
  return [...flags, '--input-type=module', '-e', write(place)];
}

/** Where test/compile.ts puts the compiled file; both paths are relative. */
export function compiledPath(source: string): string {
  const [folder, ...rest] = source.replace(/\.ts$/, '.js').split('/');
  return folder === 'ts' ? join(...rest) : join('other', folder!, ...rest);
}

/** Node's arguments that run the command line. */
export const COMMAND: readonly string[] = nodeArguments('ts/cli/main.ts');
