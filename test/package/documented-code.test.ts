/** The code in README and docs compiles against the API, strictly, as a reader would paste it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

const pages = ['README.md', ...readdirSync(join(repositoryFolder, 'docs')).map((name) => `docs/${name}`)];
const code = new Map(
  pages
    .filter((page) => page.endsWith('.md'))
    .flatMap((page) =>
      [...readFileSync(join(repositoryFolder, page), 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(
        ([, text], i) => [page, i, text!] as const,
      ),
    )
    // Beside the repository's own files, so that `resnode` is found as tsconfig.json says.
    .map(([page, i, text]) => [join(repositoryFolder, `${page.replaceAll('/', '-')}-${i}.mts`), text]),
);

/** Mistakes in the code of the pages, by file. */
function mistakes(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(join(repositoryFolder, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, repositoryFolder);
  const settings = { ...options, noUnusedLocals: false, incremental: false, tsBuildInfoFile: undefined };
  const host = ts.createCompilerHost(settings);
  const { readFile, fileExists, getSourceFile } = host;
  const textOf = (file: string) => {
    const text = files.get(file);
    return text === undefined ? undefined : `${text}\n${declared(text)}export {};\n`;
  };
  host.readFile = (file) => textOf(file) ?? readFile.call(host, file);
  host.fileExists = (file) => files.has(file) || fileExists.call(host, file);
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const text = textOf(file);
    return text === undefined
      ? getSourceFile.call(host, file, languageVersion, ...rest)
      : ts.createSourceFile(file, text, languageVersion);
  };
  const program = ts.createProgram([...files.keys()], settings, host);
  return [...files.keys()].flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(({ messageText }) => `${file}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`),
  );
}

/** Of what is given, the names that a piece of code does not make itself. */
const declared = (text: string) =>
  [
    'pixels: Float32Array',
    'signal: AbortSignal',
    'device: import("resnode").Device',
    'request: { body: Uint8Array }',
  ]
    .filter((each) => !new RegExp(`(?:const|using) ${each.split(':')[0]}\\b`).test(text))
    .map((each) => `declare const ${each};\n`)
    .join('');

test('every piece compiles', () => {
  assert.ok(code.size > 8, `${code.size} pieces`);
  assert.equal(mistakes(code), []);
});

test('a name that does not exist is a mistake', () => {
  const file = join(repositoryFolder, 'wrong.mts');
  const found = mistakes(new Map([[file, "import { openDevise } from 'resnode';\nawait openDevise();\n"]]));
  assert.is(found.length, 1);
  assert.match(found[0]!, 'openDevise');
});

test.run();
