/** Data flows one way: each folder imports only earlier ones, and no file imports its importer. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

/** Each imports only those before it; a nested folder may have a later entry. */
const TYPESCRIPT = [
  'base',
  'pages',
  'hdf5',
  'caffe',
  'operations',
  'native',
  'layers',
  'architectures',
  'graph',
  'passes',
  'compile',
  'gradient',
  'images',
  'data',
  'device',
  'images/features',
  'images/evaluate',
  'images/service',
  'images/classify',
  'images/detect',
  'images/segment',
  'train',
  'quantize',
  'tools/view',
  'tools/parity',
  'convert',
  'tools/lint',
  'tools/doctor',
  'tools/bench',
  'cli',
  'api',
  'index',
];
const NATIVE = ['core', 'image', 'reference', 'cpu', 'mpi', 'device', 'addon'];

function imports(
  folder: string,
  extension: RegExp,
  pattern: RegExp,
  resolve: (file: string, path: string) => string,
) {
  const root = join(repositoryFolder, folder);
  const files = (readdirSync(root, { recursive: true }) as string[]).filter((name) => extension.test(name));
  return new Map(
    files.map((file) => [
      file,
      [...readFileSync(join(root, file), 'utf8').matchAll(pattern)]
        .map(([, path]) => relative(root, resolve(join(root, file), path!)))
        .filter((path) => files.includes(path)),
    ]),
  );
}

const typescript = imports('ts', /\.ts$/, /(?:from|import\()\s*'(\.[^']*)'/g, (file, path) =>
  join(dirname(file), path),
);
const included = (folder: string) =>
  imports(folder, /\.(cc|cu|h)$/, /#include "([^"]*)"/g, (_, path) => join(repositoryFolder, path));
const [native, cuda] = [included('native'), included('cuda')];

/** The index in `order` of the innermost listed folder (or file); −1: none. */
function placeOf(file: string, order: string[]): number {
  // The files of an operation kind belong to two layers: its reference loops, and the CPU device's steps.
  const room = file
    .replace(/\.ts$/, '')
    .replace(/^operations\/[\w-]+\/cpu-/, 'cpu/')
    .replace(/^operations\/[\w-]+\/(?=.*\.(cc|h)$)/, 'reference/');
  for (let path = room; path !== '.'; path = dirname(path))
    if (order.includes(path)) return order.indexOf(path);
  return -1;
}

function wrongDirections(graph: Map<string, string[]>, order: string[]): string[] {
  return [...graph].flatMap(([file, paths]) =>
    paths
      .filter((path) => placeOf(path, order) > placeOf(file, order) || placeOf(path, order) < 0)
      .map((path) => `${file} imports ${path}`),
  );
}

function cycles(graph: Map<string, string[]>): string[] {
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (file: string, trail: string[]): void => {
    if (state.get(file) === 'open') found.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
    if (state.has(file)) return;
    state.set(file, 'open');
    for (const path of graph.get(file) ?? []) visit(path, [...trail, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

test('TypeScript folders import only earlier folders', () => {
  assert.ok(typescript.size > 40);
  assert.equal(wrongDirections(typescript, TYPESCRIPT), []);
});

test('native folders include only earlier folders', () => {
  assert.ok(native.size > 30);
  assert.equal(wrongDirections(native, NATIVE), []);
});

test('no file imports its importer', () => {
  assert.equal(cycles(typescript), []);
  assert.equal(cycles(native), []);
  assert.equal(cycles(cuda), []);
});

test('files and functions are named by subject', () => {
  const vague = /plain|folding|tail(?!s|ed)|regions|views|cards|breathe/i;
  const named = [...typescript.keys()].flatMap((file) => {
    const text = readFileSync(join(repositoryFolder, 'ts', file), 'utf8');
    const functions = [
      ...text.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm),
    ];
    return [file, ...functions.map(([, name]) => name!)];
  });
  assert.ok(named.length > 1000);
  assert.equal(
    named.filter((name) => vague.test(name.replace(/explain/gi, ''))),
    [],
  );
});

test('the checks notice a wrong direction and a cycle', () => {
  const wrong = new Map([
    ['caffe/a.ts', ['device/b.ts']],
    ['device/b.ts', ['caffe/a.ts']],
    ['images/c.ts', ['images/features/d.ts', 'nowhere/e.ts']],
  ]);
  assert.equal(wrongDirections(wrong, TYPESCRIPT), [
    'caffe/a.ts imports device/b.ts',
    'images/c.ts imports images/features/d.ts',
    'images/c.ts imports nowhere/e.ts',
  ]);
  assert.is(cycles(wrong).length, 1);
});

test('every #include names a path from the root of the repository', () => {
  for (const folder of ['native', 'cuda', 'test/cuda', 'test/cpu']) {
    for (const name of readdirSync(join(repositoryFolder, folder), { recursive: true }) as string[]) {
      if (!/\.(cc|cu|h)$/.test(name)) continue;
      const text = readFileSync(join(repositoryFolder, folder, name), 'utf8');
      for (const [, path] of text.matchAll(/#include "([^"]*)"/g))
        assert.ok(existsSync(join(repositoryFolder, path!)), `${folder}/${name} includes ${path}`);
    }
  }
});

test('C++ and CUDA sources are formatted as .clang-format says', () => {
  const run = spawnSync(process.execPath, [join(repositoryFolder, 'scripts/format-native.mjs'), '--check'], {
    encoding: 'utf8',
  });
  assert.is(run.status, 0, run.stderr);
});

test('N-API is used only in native/addon, and CUDA never in native/', () => {
  for (const file of native.keys()) {
    const text = readFileSync(join(repositoryFolder, 'native', file), 'utf8');
    if (!file.startsWith('addon/')) assert.not.match(text, /napi\.h|node_api/, file);
    assert.not.match(text, /cuda_runtime|cudnn\.h/, file);
  }
});

test.run();
