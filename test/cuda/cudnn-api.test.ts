/**
 * cuda/cudnn/api.h declares cuDNN's names itself (docs/decisions/0002-cudnn-declared-not-included.md): here every value,
 * enum and signature is compared with the real header by the compiler. The header is taken from RESNODE_CUDNN_INCLUDE,
 * from an installed cuDNN, or, with RESNODE_CUDNN_DOWNLOAD=1, from pip's wheel (hundreds of megabytes, kept as build/cudnn-include).
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

const HEADER = 'cudnn_graph.h';
const cached = join(repositoryFolder, 'build/cudnn-include');

function download(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-cudnn-'));
  try {
    const pip = spawnSync(
      'pip',
      ['download', '--quiet', '--no-deps', '--dest', folder, 'nvidia-cudnn-cu13'],
      {
        timeout: 600_000,
      },
    );
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
    if (pip.status !== 0 || !wheel) return null;
    const unzip = spawnSync('unzip', [
      '-q',
      '-j',
      join(folder, wheel),
      '*/include/*.h',
      '-d',
      join(folder, 'include'),
    ]);
    if (unzip.status !== 0) return null;
    mkdirSync(dirname(cached), { recursive: true });
    renameSync(join(folder, 'include'), cached);
    return cached;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function includeFolder(): string | null {
  const python = spawnSync(
    'python3',
    ['-c', 'import site; print(*site.getsitepackages(), site.getusersitepackages(), sep="\\n")'],
    {
      encoding: 'utf8',
    },
  );
  const packages = (python.stdout ?? '').split('\n').filter(Boolean);
  const folders = [
    process.env.RESNODE_CUDNN_INCLUDE,
    ...packages.map((folder) => join(folder, 'nvidia/cudnn/include')),
    '/usr/include',
    '/usr/local/cuda/include',
    cached,
  ];
  const found = folders.find((folder) => folder && existsSync(join(folder, HEADER)));
  return found ?? (process.env.RESNODE_CUDNN_DOWNLOAD === '1' ? download() : null);
}

/** What api.h declares: enumerators with their enum and value, functions with their types. */
function declared(api: string) {
  const lists = new Map(
    [...api.matchAll(/#define (RESNODE_CUDNN_\w+)\(X\)((?:.*\\\n)*.*)/g)].map(([, name, body]) => [
      name!,
      [...body!.matchAll(/X\((\w+), (\d+)\)/g)],
    ]),
  );
  const enumerators: { enumeration: string; name: string; value: string }[] = [];
  for (const [, enumeration, body] of api.matchAll(/^enum (\w+) : int \{([^}]*)\};/gm)) {
    const list = /(RESNODE_CUDNN_\w+)\(RESNODE_ENUMERATOR\)/.exec(body!);
    const entries = list ? lists.get(list[1]!)! : [...body!.matchAll(/(CUDNN_\w+) = (\d+)/g)];
    for (const [, name, value] of entries)
      enumerators.push({ enumeration: enumeration!, name: name!, value: value! });
  }
  const functions = [...api.matchAll(/^ {2}(\S[^;(]*?) ?\(\*(cudnn\w+)\)\(([^;]*)\);/gm)].map(
    ([, result, name, parameters]) => ({
      result: result!,
      name: name!,
      parameters: parameters!,
    }),
  );
  return { enumerators, functions };
}

/** The compiler's complaints, empty where there are none. */
function compare(api: string, include: string): string {
  const { enumerators, functions } = declared(api);
  const folder = mkdtempSync(join(tmpdir(), 'resnode-cudnn-'));
  try {
    // All that cuDNN's header wants of CUDA's.
    writeFileSync(
      join(folder, 'cuda_runtime_api.h'),
      'typedef struct CUstream_st *cudaStream_t;\ntypedef struct CUgraph_st *cudaGraph_t;\n',
    );
    writeFileSync(
      join(folder, 'library_types.h'),
      'typedef enum { MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL } libraryPropertyType;\n',
    );
    writeFileSync(
      join(folder, 'compare.cc'),
      [
        '#include <cstddef>',
        '#include <type_traits>',
        `#include "${HEADER}"`,
        ...enumerators.flatMap(({ enumeration, name, value }) => [
          `static_assert(static_cast<int>(${name}) == ${value}, "value");`,
          `static_assert(std::is_same<decltype(${name}), ${enumeration}>::value, "enum of ${name}");`,
        ]),
        ...new Set(
          enumerators.map(
            ({ enumeration }) => `static_assert(sizeof(${enumeration}) == sizeof(int), "size");`,
          ),
        ),
        ...functions.map(
          ({ result, name, parameters }) =>
            `static_assert(std::is_same<decltype(&${name}), ${result} (*)(${parameters})>::value, "signature of ${name}");`,
        ),
      ].join('\n'),
    );
    const compiler = process.env.CXX ?? 'c++';
    const run = spawnSync(
      compiler,
      ['-std=c++17', '-fsyntax-only', '-w', `-I${folder}`, `-I${include}`, join(folder, 'compare.cc')],
      {
        encoding: 'utf8',
      },
    );
    return run.status === 0 ? '' : `${run.error?.message ?? ''}${run.stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const api = readFileSync(join(repositoryFolder, 'cuda/cudnn/api.h'), 'utf8');

test('what is declared is found by this test, and loaded by library.cc', () => {
  const { enumerators, functions } = declared(api);
  assert.ok(enumerators.length > 90, `${enumerators.length} enumerators`);
  const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name).sort();
  assert.equal(
    enumerators.map(({ name }) => name).sort(),
    names(api, /(?:X\(|^ {2})(CUDNN_\w+)(?:, | = )\d/gm),
  );
  assert.equal(
    functions.map(({ name }) => name).sort(),
    names(readFileSync(join(repositoryFolder, 'cuda/cudnn/library.cc'), 'utf8'), /load\(library, "(\w+)"/g),
  );
});

const include = includeFolder();
if (include) {
  test("names, values and signatures are the real header's", () => {
    assert.is(compare(api, include), '');
  });
  test('the comparison sees a wrong value, enum and signature', () => {
    for (const [right, wrong] of [
      ['CUDNN_DATA_HALF = 2', 'CUDNN_DATA_HALF = 3'],
      ['X(CUDNN_ATTR_TENSOR_STRIDES, 903)', 'X(CUDNN_ATTR_TENSOR_STRIDES, 904)'],
      ['enum cudnnConvolutionMode_t', 'enum cudnnMathType_t'],
      ['(*cudnnSetStream)(cudnnHandle_t,', '(*cudnnSetStream)(cudnnHandle_t*,'],
    ]) {
      assert.ok(api.includes(right!), right);
      assert.match(
        compare(api.replace(right!, wrong!), include),
        /static assertion failed|static_assert/,
        wrong,
      );
    }
  });
} else {
  console.log(
    `skipped: cuDNN's header was not found to compare with: set RESNODE_CUDNN_INCLUDE to its folder, or RESNODE_CUDNN_DOWNLOAD=1 for pip's wheel`,
  );
}

test.run();
