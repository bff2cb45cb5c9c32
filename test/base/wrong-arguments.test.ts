/**
 * Calls every exported function with wrong values in every position and every option. It must return a result or throw
 * a ResnodeError, never a TypeError of the engine. The functions are taken from the exports, so that new ones are
 * included.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Option, signatures, type TableKind } from '../../ts/base/options.ts';
import '../../ts/device/nets.ts';
import { resnode } from '../support/entry-points.ts';
import { repositoryFolder } from '../support/golden.ts';
import { shadeNet, squareSsd } from '../support/task-nets.ts';
import { fakeSolver, fakes } from '../train/fakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-arguments-'));
const before = process.cwd();
process.chdir(folder);
test.after(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const cyclic: Record<string, unknown> = {};
cyclic.itself = cyclic;
const detached = new Float32Array(4);
structuredClone(detached, { transfer: [detached.buffer] });
const trap = () => {
  throw new Error('a trap of the caller');
};
const WRONG: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  0.5,
  1e21,
  '',
  'x',
  'x\0y',
  true,
  Symbol('s'),
  10n,
  [],
  [undefined],
  [[]],
  ['x'],
  [-1],
  {},
  Object.create(null),
  JSON.parse('{"__proto__": {"shape": [1]}}'),
  { unknown: 1 },
  () => {},
  class {},
  new Date(),
  new Map(),
  new Error('an error'),
  new URL('https://localhost/x'),
  Promise.resolve(1),
  detached,
  new ArrayBuffer(3),
  new SharedArrayBuffer(3),
  Buffer.from('GIF89a'),
  new Float32Array(3),
  new DataView(new ArrayBuffer(1)),
  cyclic,
  new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap }),
];

/** Ends whatever a call started: promises, generators, owners of memory. */
async function settle(value: unknown): Promise<void> {
  const result = (await value) as Record<string | symbol, unknown> | null | undefined;
  if (result === null || (typeof result !== 'object' && typeof result !== 'function')) return;
  if (typeof result.next === 'function' && typeof result.return === 'function') {
    await (result.next as () => unknown).call(result);
    await (result.return as () => unknown).call(result);
  } else if (typeof result.dispose === 'function') await (result.dispose as () => unknown).call(result);
}

let calls = 0;
const untyped = new Map<string, string>();
async function attempt(name: string, call: () => unknown): Promise<void> {
  calls++;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('has not come to an end')), 20_000);
  });
  try {
    await Promise.race([settle(call()), late]);
  } catch (error) {
    if (!(error instanceof resnode.ResnodeError)) untyped.set(name, (error as Error)?.stack ?? String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Wrong values in each position, with the others absent or also wrong, and in each option separately. */
async function tryAll(name: string, call: (...values: unknown[]) => unknown, rows: readonly Option[]) {
  const count = Math.max(rows.length, call.length);
  for (const [i, wrong] of WRONG.entries()) {
    for (let position = 0; position < Math.max(1, count); position++) {
      const values = Array<unknown>(position).fill(undefined);
      await attempt(`${name}(#${position}: value ${i})`, () => call(...values, wrong));
    }
    await attempt(`${name}(all: value ${i})`, () => call(...Array<unknown>(count).fill(wrong)));
    for (const [position, { kind }] of rows.entries()) {
      if (!('table' in kind)) continue;
      for (const option of Object.keys(kind.table as object)) {
        const values = Array<unknown>(position).fill(undefined);
        await attempt(`${name}(${option}: value ${i})`, () => call(...values, { [option]: wrong }));
        const { kind: inner } = (kind.table as Readonly<Record<string, Option>>)[option]!;
        for (const field of 'table' in inner ? Object.keys(inner.table as object) : [])
          await attempt(`${name}(${option}.${field}: value ${i})`, () =>
            call(...values, { [option]: { [field]: wrong } }),
          );
      }
    }
  }
}

/** The untyped errors, one per message. */
const seen = () =>
  Object.fromEntries(new Map([...untyped].map(([name, text]) => [text.slice(0, 300), name])));

const isClass = (value: unknown) => /^class\b/.test(Function.prototype.toString.call(value));
const exported = Object.entries(resnode as Readonly<Record<string, unknown>>).filter(
  (entry): entry is [string, (...values: unknown[]) => unknown] => typeof entry[1] === 'function',
);
const isError = (value: unknown) => (value as { prototype?: unknown }).prototype instanceof Error;
/** The first two take no arguments; errors.ts is below the tables. */
const WITHOUT_TABLE = ['architectures', 'conversions', 'formatPosition'];

test('every exported function has a table of its arguments', () => {
  const missing = exported.filter(
    ([name, value]) => !isError(value) && !signatures.has(name) && !WITHOUT_TABLE.includes(name),
  );
  assert.equal(
    missing.map(([name]) => name),
    [],
  );
});

test('a solver, an evaluation and features refuse unknown options with the most similar one', async () => {
  using device = await resnode.openDevice('reference');
  using model = await device.load({ model: Buffer.from(NET) });
  const preprocess = { resize: null, crop: { width: 2, height: 2 }, mean: [0] };
  const calls: [wrong: string, near: string, call: (options: object) => unknown][] = [
    ['snapshots', 'snapshot', (wrong) => new resnode.Solver({ solver: 's.prototxt', device, ...wrong })],
    ['skipBrokn', 'skipBroken', (wrong) => resnode.evaluateImages(model, [], { preprocess, ...wrong })],
    ['onProgres', 'onProgress', (wrong) => resnode.extractFeatures(model, [], { preprocess, ...wrong })],
  ];
  for (const [wrong, near, call] of calls) {
    const error = await (async () => call({ [wrong]: true }))().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.instance(error, resnode.ArgumentError);
    assert.match((error as Error).message, `did you mean "${near}"?`);
  }
});

/** Types whose values users get from resnode or make themselves. They may have more fields than are read. */
const DATA = [
  'a Blob',
  'a Blob, { shape, dtype, bytes }',
  'a CamHead of findCamHead',
  'a Description of describeNet',
  'a Graph of graphFromCaffe',
  'a SingleOperation',
  'a SolverState',
  'a Tensor, { shape, data: Float32Array }',
  'a WeightsFile, { file, name, layers }',
  'a calibration, which `calibrate` makes',
  'a map, { width, height, map }',
  'a mean image, { shape, data }',
  'a net of a CheckedSolver',
  'a size, { width, height }',
  'an Image, { width, height, channels, data, file }',
  'an Image',
  'an EvaluationResult',
  'PageData of describeNet',
  'RawImages of readIdx or readCifar',
  'settings of checkSolver',
  'weights, { name, layers }',
  'what calibrate found',
  'the options of openDevice',
  'the result of resnetTraining',
  '{ net, weights }',
  '{ resize, crop }',
];

test('every function that takes options refuses names that are in no table, with the most similar one', () => {
  let tables = 0;
  for (const { name, parameters } of signatures.values())
    for (const [parameter, { kind }] of Object.entries(parameters)) {
      if (!('table' in kind)) continue;
      const { table, isClosed, expected, mistake } = kind as TableKind<object>;
      if (!isClosed) {
        assert.ok(DATA.includes(expected), `${name}: ${expected} is no data`);
        continue;
      }
      tables++;
      for (const [option, { internal }] of Object.entries(table)) {
        if (internal) continue;
        const found = mistake({ [`${option}x`]: 1 });
        assert.is(found?.path, '{}', `${name}: ${parameter}.${option}x`);
        assert.match(found?.hint ?? '', 'did you mean "', `${name}: ${parameter}.${option}x`);
      }
    }
  assert.ok(tables > 40, `${tables} tables`);
});

/** The number of parameters in a function's source: the parts between commas outside brackets. */
function parameterCount(text: string): number {
  let [depth, count] = [0, 0];
  for (const [i, char] of [...text.slice(text.indexOf('(') + 1)].entries()) {
    if (depth === 0 && char === ')') return i === 0 ? 0 : count + 1;
    if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth--;
    else if (char === ',' && depth === 0) count++;
  }
  throw new Error(`no function: ${text}`);
}

test('a table has one row per parameter', () => {
  const functions = exported.filter(([name, value]) => !isClass(value) && signatures.has(name));
  assert.ok(functions.length > 80);
  for (const [name, value] of functions)
    assert.is(Object.keys(signatures.get(name)!.parameters).length, parameterCount(String(value)), name);
});

test('whatever arguments an exported function gets, it throws only ResnodeErrors', async () => {
  let functions = 0;
  for (const [name, value] of exported) {
    if (isError(value)) continue;
    functions++;
    const call = isClass(value)
      ? (...values: unknown[]) => Reflect.construct(value, values)
      : (value as (...values: unknown[]) => unknown);
    await tryAll(name, call, Object.values(signatures.get(name)?.parameters ?? {}));
  }
  for (const [name, run] of Object.entries(resnode.ops)) {
    functions++;
    await tryAll(`ops.${name}`, run as (...values: unknown[]) => unknown, []);
  }
  console.log(`figures: ${functions} functions, ${calls} calls, ${untyped.size} untyped errors`);
  assert.equal(seen(), {});
});

const NET = `name: "n"
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } include { phase: TRAIN } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TRAIN } }`;

test('so do the objects that the API returns, including disposed ones', async () => {
  calls = 0;
  untyped.clear();
  const device = await resnode.openDevice('reference');
  const model = await device.load({ model: Buffer.from(NET) });
  const trainer = await device.train({ model: Buffer.from(NET), update: null });
  const buffer = await device.buffer(new Float32Array(4));
  let functions = 0;
  const classifier = await resnode.openClassifier(join(repositoryFolder, 'examples/fashion'), {
    device: 'cpu',
    threads: 1,
  });
  const taskOptions = { device: 'cpu', threads: 1 } as const;
  const detector = await resnode.openDetector(squareSsd(join(folder, 'ssd')), taskOptions);
  const segmenter = await resnode.openSegmenter(shadeNet(join(folder, 'shades')), taskOptions);
  const solver = Object.assign(fakeSolver(fakes(), folder, 'max_iter: 1'), { dispose() {} });
  const objects = Object.entries({ classifier, detector, segmenter, solver, model, trainer, buffer, device });
  for (const isDisposed of [false, true]) {
    for (const [name, object] of objects) {
      if (isDisposed) object.dispose();
      for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(object))) {
        const { value } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(object), method)!;
        if (typeof value !== 'function' || method === 'constructor' || method === 'dispose') continue;
        functions++;
        const rows = Object.values(signatures.get(`${name}.${method}`)?.parameters ?? {});
        await tryAll(`${name}.${method}`, (...values) => value.apply(object, values), rows);
      }
    }
  }
  console.log(`figures: ${functions} methods, ${calls} calls, ${untyped.size} untyped errors`);
  assert.equal(seen(), {});
});

test.run();
