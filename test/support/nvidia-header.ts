/** Compares our own declarations with a header of NVIDIA's, from wherever one is available. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryFolder } from './golden.ts';

export interface Header {
  /** For example `cudnn_graph.h`. */
  readonly file: string;
  /** For example `cudnn`: the folder in pip's packages. */
  readonly library: string;
  /** The name for pip. */
  readonly package: string;
  /** What it includes from CUDA: file name → a sufficient replacement. */
  readonly cuda: Readonly<Record<string, string>>;
}

function download({ library, package: name }: Header, cached: string): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-header-'));
  try {
    const pip = spawnSync('pip', ['download', '--quiet', '--no-deps', '--dest', folder, name], {
      timeout: 600_000,
    });
    const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
    if (pip.status !== 0 || !wheel) return null;
    const words = [
      '-q',
      '-j',
      join(folder, wheel),
      `nvidia/${library}/include/*.h`,
      '-d',
      join(folder, 'include'),
    ];
    if (spawnSync('unzip', words).status !== 0) return null;
    mkdirSync(dirname(cached), { recursive: true });
    renameSync(join(folder, 'include'), cached);
    return cached;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The folder of a header: RESNODE_<LIBRARY>_INCLUDE, an installed package's, or, with RESNODE_<LIBRARY>_DOWNLOAD=1,
 * that of pip's wheel (hundreds of megabytes, whose headers are kept in build/<library>-include). Null, after printing
 * why the caller skips, if there is none.
 */
export function includeFolder(header: Header): string | null {
  const { file, library } = header;
  const variable = `RESNODE_${library.toUpperCase()}`;
  const cached = join(repositoryFolder, `build/${library}-include`);
  const script = 'import site; print(*site.getsitepackages(), site.getusersitepackages(), sep="\\n")';
  const python = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
  const packages = (python.stdout ?? '').split('\n').filter(Boolean);
  const folders = [
    process.env[`${variable}_INCLUDE`],
    ...packages.map((folder) => join(folder, `nvidia/${library}/include`)),
    '/usr/include',
    '/usr/local/cuda/include',
    cached,
  ];
  const found =
    folders.find((folder) => folder && existsSync(join(folder, file))) ??
    (process.env[`${variable}_DOWNLOAD`] === '1' ? download(header, cached) : null);
  if (found === null)
    console.log(
      `skipped: ${file} was not found to compare with: set ${variable}_INCLUDE to its folder, or ${variable}_DOWNLOAD=1 for pip's wheel`,
    );
  return found;
}

export interface Declared {
  readonly enumerators: readonly {
    readonly enumeration: string;
    readonly name: string;
    readonly value: string;
  }[];
  readonly functions: readonly {
    readonly result: string;
    readonly name: string;
    readonly parameters: string;
  }[];
}

/**
 * The declarations of an api.h: enumerators with their enum and value (also in lists `#define X_LIST(X)`), functions
 * with their types.
 */
export function declared(api: string): Declared {
  const lists = new Map(
    [...api.matchAll(/#define (RESNODE_\w+)\(X\)((?:.*\\\n)*.*)/g)].map(([, name, body]) => [
      name!,
      [...body!.matchAll(/X\((\w+), (\d+)\)/g)],
    ]),
  );
  const enumerators: { enumeration: string; name: string; value: string }[] = [];
  for (const [, enumeration, body] of api.matchAll(/^enum (\w+) : int \{([^}]*)\};/gm)) {
    const list = /(RESNODE_\w+)\(RESNODE_ENUMERATOR\)/.exec(body!);
    const entries = list ? lists.get(list[1]!)! : [...body!.matchAll(/(\w+) = (\d+)/g)];
    for (const [, name, value] of entries)
      enumerators.push({ enumeration: enumeration!, name: name!, value: value! });
  }
  const functions = [...api.matchAll(/^ {2}(\S[^;(]*?) ?\(\*(\w+)\)\(([^;]*)\);/gm)].map(
    ([, result, name, parameters]) => ({ result: result!, name: name!, parameters: parameters! }),
  );
  return { enumerators, functions };
}

/**
 * @param more - More lines of C++.
 * @returns The compiler's errors, or an empty string.
 */
export function compareWithHeader(
  { enumerators, functions }: Declared,
  header: Header,
  include: string,
  more: readonly string[] = [],
): string {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-header-'));
  try {
    for (const [name, text] of Object.entries(header.cuda)) writeFileSync(join(folder, name), text);
    const enumerations = new Set(enumerators.map(({ enumeration }) => enumeration));
    writeFileSync(
      join(folder, 'compare.cc'),
      [
        '#include <cstddef>',
        '#include <type_traits>',
        `#include "${header.file}"`,
        ...enumerators.flatMap(({ enumeration, name, value }) => [
          `static_assert(static_cast<int>(${name}) == ${value}, "value");`,
          `static_assert(std::is_same<decltype(${name}), ${enumeration}>::value, "enum of ${name}");`,
        ]),
        ...[...enumerations].map((name) => `static_assert(sizeof(${name}) == sizeof(int), "size");`),
        ...functions.map(
          ({ result, name, parameters }) =>
            `static_assert(std::is_same<decltype(&${name}), ${result} (*)(${parameters})>::value, "signature of ${name}");`,
        ),
        ...more,
      ].join('\n'),
    );
    const flags = ['-std=c++17', '-fsyntax-only', '-w', `-I${folder}`, `-I${include}`];
    const run = spawnSync(process.env.CXX ?? 'c++', [...flags, join(folder, 'compare.cc')], {
      encoding: 'utf8',
    });
    return run.status === 0 ? '' : `${run.error?.message ?? ''}${run.stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
