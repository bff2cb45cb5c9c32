/** The solver's own order and arithmetic, with a trainer that computes nothing. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, PrototxtError, ResnodeError } from '../../ts/base/errors.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import type { SolverEvent } from '../../ts/train/events.ts';
import type { OpenData } from '../../ts/train/open-training.ts';
import { readSnapshot } from '../../ts/train/snapshot.ts';
import { Solver, type SolverOptions } from '../../ts/train/solver.ts';
import { collect, fakeSolver, fakes, NET, ofType } from './fakes.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-solver-'));
test.after(() => rmSync(root, { recursive: true }));
let count = 0;
const newFolder = () => {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  return folder;
};
const outline = (events: readonly SolverEvent[]) =>
  events.map((event) => ('iteration' in event ? `${event.type} ${event.iteration}` : event.type));

async function rejected(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable('nothing was thrown') as never;
}

test("tests, iterations and snapshots come in Caffe's order", async () => {
  const folder = newFolder();
  const world = fakes();
  const events = await collect(
    fakeSolver(world, folder, 'max_iter: 4 test_iter: 1 test_interval: 2 snapshot: 2 display: 3'),
  );
  assert.equal(outline(events), [
    'start 0',
    'test 0',
    'iteration 0',
    'iteration 1',
    'snapshot 2',
    'test 2',
    'iteration 2',
    'iteration 3',
    'snapshot 4',
    'test 4',
    'done 4',
  ]);
  assert.equal(
    ofType(events, 'iteration').map(({ display }) => display),
    [true, false, false, true],
  );
  assert.equal(
    ofType(events, 'snapshot').map(({ reason }) => reason),
    ['interval', 'interval'],
  );
  assert.is(ofType(events, 'done')[0]!.reason, 'finished');
  assert.is(world.open, 0, 'everything was closed');
});

test('test_initialization: false skips the first test; without an interval there is a snapshot at the end', async () => {
  const world = fakes();
  const events = await collect(
    fakeSolver(world, newFolder(), 'max_iter: 3 test_iter: 1 test_interval: 2 test_initialization: false'),
  );
  assert.equal(outline(events), [
    'start 0',
    'iteration 0',
    'iteration 1',
    'test 2',
    'iteration 2',
    'snapshot 3',
    'done 3',
  ]);
  const none = await collect(fakeSolver(fakes(), newFolder(), 'max_iter: 1 snapshot_after_train: false'));
  assert.equal(outline(none), ['start 0', 'warning', 'iteration 0', 'done 1']);
  assert.is(ofType(none, 'warning')[0]!.code, 'solver/no-snapshot');
});

test('finalTest tests the saved weights, once', async () => {
  for (const [iterations, tests] of [
    [3, ['test 2', 'test 3']],
    [4, ['test 2', 'test 4']],
  ] as const) {
    const text = `max_iter: ${iterations} test_iter: 1 test_interval: 2 test_initialization: false`;
    const events = await collect(fakeSolver(fakes(), newFolder(), text, { finalTest: true }));
    assert.equal(
      outline(events).filter((each) => each.startsWith('test')),
      tests,
    );
  }
});

test('a test averages its outputs over test_iter batches with the weights of that iteration', async () => {
  const world = fakes();
  const events = await collect(
    fakeSolver(world, newFolder(), 'max_iter: 2 test_iter: 4 test_interval: 2 test_compute_loss: true'),
  );
  assert.equal(world.calls, [
    'load TEST 0',
    ...['test 0', 'test 1', 'test 2', 'test 3'],
    ...['step 0 first last', 'step 1 first last'],
    'load TEST 2',
    ...['test 4', 'test 5', 'test 6', 'test 7'],
  ]);
  const [first, second] = ofType(events, 'test');
  assert.equal(first!.outputs[1], { name: 'loss', values: [1.5], lossWeight: 2 });
  assert.ok(Math.abs(first!.outputs[0]!.values[0]! - 0.15) < 1e-7);
  assert.equal([first!.loss, second!.loss, first!.iterations], [3, 11, 4]);
  const silent = await collect(fakeSolver(fakes(), newFolder(), 'max_iter: 1 test_iter: 1 test_interval: 1'));
  assert.is(ofType(silent, 'test')[0]!.loss, null);
});

test('iter_size passes make one iteration, whose loss is their weighted mean', async () => {
  const world = fakes();
  world.loss = (pass) => pass;
  const events = await collect(fakeSolver(world, newFolder(), 'max_iter: 2 iter_size: 3'));
  assert.equal(world.calls, [
    'step 0 first',
    'step 1',
    'step 2 last',
    'step 3 first',
    'step 4',
    'step 5 last',
  ]);
  const iterations = ofType(events, 'iteration');
  assert.equal(
    iterations.map(({ loss }) => loss),
    [2, 8],
  );
  // Caffe prints the outputs of the last pass.
  assert.equal(iterations[1]!.outputs, [{ name: 'loss', values: [5], lossWeight: 2 }]);
  const [start] = ofType(events, 'start');
  assert.equal([start!.batch, start!.samplesPerIteration, start!.epochSize], [4, 12, 100]);
});

test('batches are read in place and given back if the source takes them, each after its last use', async () => {
  const world = fakes();
  world.recycles = true;
  const text = 'max_iter: 2 iter_size: 2 test_interval: 9 test_iter: 2 snapshot_after_train: false';
  await collect(fakeSolver(world, root, text));
  assert.equal(world.calls.slice(1), [
    ...['test 0 in place', 'recycle 0', 'test 1 in place', 'recycle 1'],
    ...['step 0 first in place', 'recycle 0', 'step 1 last in place', 'recycle 1'],
    ...['step 2 first in place', 'recycle 2', 'step 3 last in place', 'recycle 3'],
  ]);
});

test("average_loss smooths as Caffe does: a mean until the window is full, then the window's mean", async () => {
  const world = fakes();
  world.loss = (pass) => [3, 1, 5, 9, 0][pass]! / 2;
  const events = await collect(fakeSolver(world, newFolder(), 'max_iter: 5 average_loss: 3'));
  assert.equal(
    ofType(events, 'iteration').map(({ smoothedLoss }) => Number(smoothedLoss.toFixed(5))),
    [3, 2, 3, 5, 4.66667],
  );
});

test('iter_size gives a warning with batch statistics, but not with stored ones', async () => {
  for (const [statistics, warned] of [
    ['batch', true],
    ['global', false],
  ] as const) {
    const world = fakes();
    world.batchNorms = [{ layer: 'bn', statistics, reason: 'phase TRAIN' }];
    const events = await collect(fakeSolver(world, newFolder(), 'max_iter: 1 iter_size: 2'));
    const codes = ofType(events, 'warning').map(({ code }) => code);
    assert.is(codes.includes('solver/iter-size-batch-norm'), warned);
    assert.equal(ofType(events, 'start')[0]!.batchNorms, world.batchNorms);
  }
});

test('a request to stop ends after the iteration with a snapshot, and a test without a result', async () => {
  const world = fakes();
  const solver = fakeSolver(world, newFolder(), 'max_iter: 9 test_iter: 5 test_interval: 4');
  const events = await collect(solver, (event) => {
    if (event.type === 'iteration' && event.iteration === 1) solver.request('stop');
  });
  assert.equal(outline(events).slice(-3), ['iteration 1', 'snapshot 2', 'done 2']);
  assert.equal(
    [ofType(events, 'done')[0]!.reason, ofType(events, 'snapshot')[0]!.reason],
    ['stopped', 'end'],
  );

  const tested = fakes();
  const inTest = fakeSolver(tested, newFolder(), 'max_iter: 9 test_iter: 5 test_interval: 2');
  const source = tested.data;
  const withStop: OpenData = async (net, options) => {
    const opened = await source(net, options);
    const next = opened.next.bind(opened);
    let asked = 0;
    return Object.assign(opened, {
      next: (signal?: AbortSignal) => {
        if (options.phase === 'TEST' && ++asked === 7) stopped.request('stop');
        return next(signal);
      },
    });
  };
  const stopped = new Solver({
    solver: inTest.parameters,
    device: tested.device,
    data: withStop,
  });
  const ended = await collect(stopped);
  assert.equal(outline(ended).slice(-3), ['iteration 1', 'snapshot 2', 'done 2']);
  assert.is(tested.calls.filter((call) => call.startsWith('test')).length, 7);
  assert.is(tested.open, 0);
});

test('a request for a snapshot writes one and continues', async () => {
  const solver = fakeSolver(fakes(), newFolder(), 'max_iter: 3 snapshot: 2');
  const events = await collect(solver, (event) => {
    if (event.type === 'iteration' && event.iteration === 0) solver.request('snapshot');
  });
  assert.equal(outline(events).slice(1), [
    'iteration 0',
    'snapshot 1',
    'iteration 1',
    'snapshot 2',
    'iteration 2',
    'snapshot 3',
    'done 3',
  ]);
  assert.equal(
    ofType(events, 'snapshot').map(({ reason }) => reason),
    ['request', 'interval', 'end'],
  );
});

for (const format of ['BINARYPROTO', 'HDF5'] as const)
  test(`a snapshot (${format}) is Caffe's two files and a JSON of ours; a resumed run continues where the data was`, async () => {
    const folder = newFolder();
    const text = `max_iter: 5 test_iter: 1 test_interval: 2 snapshot: 3 snapshot_format: ${format} random_seed: 7`;
    const world = fakes();
    await collect(fakeSolver(world, folder, text));
    const suffix = format === 'HDF5' ? '.h5' : '';
    assert.equal(readdirSync(folder).sort(), [
      `fake_iter_3.caffemodel${suffix}`,
      `fake_iter_3.solverstate${suffix}`,
      `fake_iter_3.solverstate${suffix}.json`,
      `fake_iter_5.caffemodel${suffix}`,
      `fake_iter_5.solverstate${suffix}`,
      `fake_iter_5.solverstate${suffix}.json`,
    ]);
    const again = fakes();
    const state = `${folder}/fake_iter_3.solverstate${suffix}`;
    const events = await collect(fakeSolver(again, folder, text, { snapshot: state }));
    assert.equal(outline(events), [
      'start 3',
      'iteration 3',
      'test 4',
      'iteration 4',
      'snapshot 5',
      'done 5',
    ]);
    assert.equal(again.calls, world.calls.slice(world.calls.indexOf('step 3 first last')));
    assert.equal([...again.trainOptions!.history![0]!], [0.5, 0.5, 0.5]);
    assert.is(again.trainOptions!.seed, 7);

    // As with Caffe's own snapshots: without our file the data starts from the beginning, with a message.
    rmSync(`${state}.json`);
    const caffe = fakes();
    const anew = await collect(fakeSolver(caffe, folder, text, { snapshot: state }));
    assert.is(ofType(anew, 'warning')[0]!.code, 'solver/no-data-position');
    assert.is(caffe.calls[0], 'step 0 first last');
  });

test("a moved snapshot's weights are found beside it", async () => {
  const [folder, other] = [newFolder(), newFolder()];
  await collect(fakeSolver(fakes(), folder, 'max_iter: 2'));
  for (const name of readdirSync(folder)) {
    const { copyFileSync } = await import('node:fs');
    copyFileSync(join(folder, name), join(other, name));
  }
  rmSync(folder, { recursive: true });
  const resumed = await readSnapshot(join(other, 'fake_iter_2.solverstate'));
  assert.is(resumed.weights, join(other, 'fake_iter_2.caffemodel'));
});

test('a JSON that does not belong to its .solverstate is refused with the cure', async () => {
  const folder = newFolder();
  await collect(fakeSolver(fakes(), folder, 'max_iter: 2'));
  const state = join(folder, 'fake_iter_2.solverstate');
  for (const [text, words] of [
    ['{', /this is not valid JSON \(/],
    ['{}', /expected the format/],
    [
      '{"format":"resnode-solver-state/1","iteration":9,"data":{"tests":[]}}',
      /belongs to iteration 9, .* to 2/,
    ],
  ] as const) {
    writeFileSync(`${state}.json`, text);
    const error = await rejected(readSnapshot(state));
    assert.instance(error, ResnodeError);
    assert.match(error.message, words);
    assert.match(error.message, /remove it/);
  }
});

test('NaN and infinity end the run at once, the plateau after five; the last snapshot remains', async () => {
  const plateau = 87.33654475;
  for (const [losses, reason, at] of [
    [[1, 1, 1, Number.NaN], 'nan', 3],
    [[1, 1, 1, Number.POSITIVE_INFINITY], 'infinite', 3],
    [[1, 1, 1, ...Array(9).fill(plateau)], 'plateau', 7],
    [[1, 1, 1, plateau, plateau, plateau, plateau, 1, Number.NaN], 'nan', 8],
  ] as const) {
    const world = fakes();
    const folder = newFolder();
    world.loss = (pass) => losses[pass]!;
    const events = await collect(fakeSolver(world, folder, 'max_iter: 20 snapshot: 3'));
    const [diverged] = ofType(events, 'diverged');
    const kept = ofType(events, 'snapshot').at(-1)!.weights;
    assert.equal([diverged!.reason, diverged!.iteration, diverged!.lastSnapshot], [reason, at, kept]);
    assert.equal(outline(events).slice(-2), [`diverged ${at}`, `done ${at}`]);
    assert.equal([ofType(events, 'done')[0]!.reason, ofType(events, 'done')[0]!.weights], ['diverged', kept]);
    assert.ok(existsSync(kept));
    assert.is(world.open, 0);
  }
});

test('a skipped update gives a warning; after twenty in a row training stops and names the loss scale', async () => {
  const world = fakes();
  const folder = newFolder();
  const options = { precision: 'float16', lossScale: 4096 } as const;
  world.skipped = (passes) => (passes >= 2 ? 1 : 0);
  const events = await collect(fakeSolver(world, folder, 'max_iter: 4', options));
  const { precision, lossScale } = world.trainOptions!;
  assert.equal({ precision, lossScale }, options);
  const warnings = ofType(events, 'warning').filter(({ code }) => code === 'solver/update-skipped');
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0]!.message,
    /iteration 1: the gradients are not finite, so the update was skipped \(1 so far\)/,
  );
  assert.is(ofType(events, 'iteration').length, 4);

  world.skipped = (passes) => Math.max(passes - 3, 0);
  const [diverged] = ofType(await collect(fakeSolver(world, folder, 'max_iter: 99', options)), 'diverged');
  assert.is(diverged!.reason, 'gradients');
  assert.is(diverged!.iteration, 22);
  assert.match(diverged!.message, /20 updates in a row are not finite.*--loss-scale/);
});

test('a dynamic loss scale is reported when an update is skipped, and a snapshot keeps it', async () => {
  const world = fakes();
  const folder = newFolder();
  const options = { precision: 'float16', lossScale: 'dynamic' } as const;
  world.lossScale = { factor: 2048, since: 17 };
  world.skipped = (passes) => (passes >= 2 ? 1 : 0);
  const events = await collect(fakeSolver(world, folder, 'max_iter: 4 snapshot: 2', options));
  const [warning] = ofType(events, 'warning').filter(({ code }) => code === 'solver/update-skipped');
  assert.match(warning!.message, /the loss scale is now 2048$/);

  const { state } = ofType(events, 'snapshot')[0]!;
  const resumed = fakes();
  resumed.lossScale = { factor: 65536, since: 0 };
  await collect(fakeSolver(resumed, folder, 'max_iter: 4', { ...options, snapshot: state }));
  assert.equal(resumed.lossScale, { factor: 2048, since: 17 });

  const file = `${state}.json`;
  writeFileSync(file, readFileSync(file, 'utf8').replace('2048', '"large"'));
  try {
    await collect(fakeSolver(fakes(), folder, 'max_iter: 4', { ...options, snapshot: state }));
    assert.unreachable('a scale that is no number was taken');
  } catch (error) {
    assert.match((error as Error).message, /expected lossScale to be a factor above 0/);
  }
});

test('weights that are not finite are never saved in a snapshot', async () => {
  const folder = newFolder();
  const world = fakes();
  const { device } = world;
  const broken: SolverOptions['device'] = {
    ...device,
    train: async (options) => {
      const trainer = await device.train(options);
      const weights = trainer.weights.bind(trainer);
      let asked = 0;
      return {
        ...trainer,
        weights: async () => {
          const file = await weights();
          const bytes = new Uint8Array(Float32Array.of(1, Number.NaN, 1).buffer);
          const { name, type, blobs } = file.layers[0]!;
          return ++asked < 2 ? file : { ...file, layers: [{ name, type, blobs: [{ ...blobs[0]!, bytes }] }] };
        },
      };
    },
  };
  const events = await collect(fakeSolver(world, folder, 'max_iter: 9 snapshot: 2', { device: broken }));
  assert.equal(outline(events).slice(-3), ['iteration 3', 'diverged 4', 'done 4']);
  assert.equal([ofType(events, 'diverged')[0]!.layer, readdirSync(folder).length], ['ip', 3]);
});

test('an abort throws its reason; an abort, or leaving the loop, closes everything', async () => {
  const world = fakes();
  const controller = new AbortController();
  const reason = new Error('enough');
  const error = await rejected(
    collect(
      fakeSolver(world, newFolder(), 'max_iter: 100'),
      (event) => {
        if (event.type === 'iteration' && event.iteration === 2) controller.abort(reason);
      },
      controller.signal,
    ),
  );
  assert.is(error, reason);
  assert.is(world.open, 0);
  const left = fakes();
  for await (const event of fakeSolver(left, newFolder(), 'max_iter: 100').run())
    if (event.type === 'iteration') break;
  assert.is(left.open, 0);
});

test('two runs at once are refused, one after the other are not', async () => {
  const solver = fakeSolver(fakes(), newFolder(), 'max_iter: 2');
  const first = collect(solver);
  assert.instance(await rejected(collect(solver)), ArgumentError);
  const events = await first;
  assert.equal(outline(await collect(solver)), outline(events));
});

test('the net is searched beside the solver if the working folder has none, with a message', async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'beside.prototxt'), NET);
  const file = join(folder, 'solver.prototxt');
  const text = `net: "beside.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "${folder}/b"`;
  writeFileSync(file, text);
  const { device, data } = fakes();
  const events = await collect(new Solver({ solver: file, device, data }));
  assert.equal(
    ofType(events, 'warning').map(({ code }) => code),
    ['solver/found-beside'],
  );
  assert.is(ofType(events, 'start')[0]!.solver, file);
});

test('impossible settings are refused before anything is computed', async () => {
  const world = fakes();
  const folder = newFolder();
  const run = (text: string, options: Partial<SolverOptions> = {}) =>
    rejected((async () => collect(fakeSolver(world, folder, text, options)))());
  assert.match((await run('max_iter: 1', { weights: 'a', snapshot: 'b' })).message, /or a snapshot/);
  const diff = await run('max_iter: 1\nsnapshot_diff: true');
  assert.instance(diff, PrototxtError);
  assert.match(diff.message, /solver\.prototxt:\d+:1: snapshot_diff is not supported/);
  assert.match(
    (await run('max_iter: 1', { snapshot: 'none.solverstate' })).message,
    /there is no such file or folder/,
  );
  assert.match(
    (await run('max_iter: 1 weights: "none.caffemodel"')).message,
    /solver\.prototxt:\d+:\d+: weights: there is no file "none\.caffemodel"/,
  );
  assert.match((await run('max_iter: 1', { warmup: { iterations: -1, rate: 1 } })).message, /warmup/);
  const nowhere = fakeSolver(world, join(folder, 'absent'), 'max_iter: 1');
  assert.match((await rejected(collect(nowhere))).message, /there is no such folder/);
  assert.is(world.open, 0);
  assert.equal(world.calls, []);
});

test("a missing net is reported with the solver's line, the folders searched, and the existing files", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'train_val.prototxt'), NET);
  const file = join(folder, 'solver.prototxt');
  const { device, data } = fakes();
  const refused = async (text: string) => {
    writeFileSync(file, `base_lr: 1 lr_policy: "fixed" max_iter: 1\n${text}\n`);
    return rejected(collect(new Solver({ solver: file, device, data })));
  };
  for (const [text, field] of [
    ['net: "trainval.prototxt"', 'net'],
    ['train_net: "trainval.prototxt"', 'train_net'],
    [
      'train_net: "train_val.prototxt" test_iter: 1 test_interval: 1\ntest_net: "trainval.prototxt"',
      'test_net',
    ],
  ] as const) {
    const error = await refused(text);
    assert.instance(error, PrototxtError);
    const line = text.split('\n').length + 1;
    assert.match(error.message, `${file}:${line}:1: ${field}: there is no file "trainval.prototxt"`);
    assert.match(error.message, `working folder (${process.cwd()})`);
    assert.match(error.message, `beside the solver (${folder})`);
    assert.match(error.message, 'did you mean "train_val.prototxt"?');
  }
  const wrong = await refused(`net: "${file}"`);
  assert.match(wrong.message, /this is a solver \(prototxt\); here a net \(prototxt\) is needed/);
});

test('weights: the later of several files takes precedence, and an option overrides the solver', async () => {
  const folder = newFolder();
  await collect(fakeSolver(fakes(), folder, 'max_iter: 3 snapshot: 1'));
  const file = (i: number) => `${folder}/fake_iter_${i}.caffemodel`;
  const begin = async (text: string, options: Partial<SolverOptions> = {}) => {
    const world = fakes();
    await collect(fakeSolver(world, folder, `max_iter: 0 snapshot_after_train: false ${text}`, options));
    const { weights } = world.trainOptions!;
    const blob =
      typeof weights === 'object' ? (weights as WeightsFile).layers[0]!.blobs[0]! : assert.unreachable();
    return toFloat32(blob!)[0];
  };
  assert.is(await begin(`weights: "${file(1)}"`), 1);
  assert.is(await begin(`weights: "${file(1)}, ${file(3)}"`), 3);
  assert.is(await begin(`weights: "${file(3)}" weights: "${file(2)}"`), 2);
  assert.is(await begin(`weights: "${file(1)}"`, { weights: file(2) }), 2);
  assert.is(await begin('', { weights: [file(1), file(3)] }), 3);
});

test('the event contains a drawn seed, so that a run can be repeated', async () => {
  const seeds = [];
  for (const text of ['', '', 'random_seed: 5', 'random_seed: 4294967301']) {
    const events = await collect(fakeSolver(fakes(), newFolder(), `max_iter: 0 ${text}`));
    seeds.push(ofType(events, 'start')[0]!.seed);
  }
  assert.is.not(seeds[0], seeds[1]);
  assert.equal(seeds.slice(2), [5, 5]);
});

test('steps of any sizes, followed by a run, do the same as a single run', async () => {
  const text = 'max_iter: 7 test_iter: 1 test_interval: 3 snapshot: 2';
  const whole = fakes();
  const wanted = await collect(fakeSolver(whole, newFolder(), text));
  const world = fakes();
  await using solver = fakeSolver(world, newFolder(), text);
  const events: SolverEvent[] = [];
  const onEvent = (event: SolverEvent) => events.push(event);
  assert.equal(await solver.step(1, { onEvent }), { iteration: 1, loss: 2, smoothedLoss: 2, reason: 'done' });
  assert.is((await solver.step(3, { onEvent })).iteration, 4);
  assert.is(solver.iteration, 4);
  for await (const event of solver.run()) onEvent(event);
  assert.equal(outline(events), outline(wanted));
  assert.equal(world.calls, whole.calls);
  assert.is(world.open, 0, 'the run frees what the steps had opened');
});

test('a step goes beyond max_iter, as in Solver::Step', async () => {
  await using solver = fakeSolver(fakes(), newFolder(), 'max_iter: 2');
  assert.is((await solver.step(5)).iteration, 5);
});

test('an aborted step can be continued; open resources stay open until close', async () => {
  const world = fakes();
  const solver = fakeSolver(world, newFolder(), 'max_iter: 9');
  const controller = new AbortController();
  const onEvent = (event: SolverEvent) => {
    if (event.type === 'iteration' && event.iteration === 1) controller.abort(new Error('enough'));
  };
  const error = await rejected(solver.step(5, { signal: controller.signal, onEvent }));
  assert.is(error.message, 'enough');
  assert.is(solver.iteration, 2);
  assert.is((await solver.step(1)).iteration, 3);
  assert.ok(world.open > 0);
  await solver.close();
  await solver.close();
  assert.is(world.open, 0);
});

test('net is available from open on, and misuse is reported', async () => {
  const world = fakes();
  await using solver = fakeSolver(world, newFolder(), 'max_iter: 9');
  assert.throws(() => solver.net, /solver\.open\(\)/);
  const net = await solver.open();
  assert.is(net, solver.net);
  assert.throws(() => net.blobs, /a solver that has made a step/);
  const first = solver.step(1);
  assert.match((await rejected(solver.step(1))).message, /one call at a time/);
  assert.match((await rejected(solver.close())).message, /one call at a time/);
  await first;
  assert.equal(net.blobs.loss!.data, Float32Array.of(1));
  assert.throws(() => net.blobs.conv1, /name others in the solver's outputs/);
  assert.equal(toFloat32((await net.weights()).layers[0]!.blobs[0]!), Float32Array.of(1, 1, 1));
  for (const wrong of [0, -1, 1.5, '3'])
    assert.match(
      (await rejected(solver.step(wrong as number))).message,
      /iterations: expected a positive integer/,
    );
});

test('snapshot() writes at once, and a solver resumes from it as from any other', async () => {
  const folder = newFolder();
  await using solver = fakeSolver(fakes(), folder, 'max_iter: 9 snapshot_after_train: false');
  await solver.step(3);
  const event = await solver.snapshot();
  assert.is(event?.type, 'snapshot');
  const { state } = event as Extract<SolverEvent, { type: 'snapshot' }>;
  assert.is((await readSnapshot(state)).iteration, 3);
  const world = fakes();
  await using again = fakeSolver(world, folder, 'max_iter: 9', { snapshot: state });
  assert.is((await again.step(1)).iteration, 4);
  assert.ok(
    world.calls.some((call) => call.startsWith('step 3')),
    'with the batch that was next',
  );
});

test('a stop ends a step; a solver that diverged makes no further one', async () => {
  await using solver = fakeSolver(fakes(), newFolder(), 'max_iter: 9');
  const stopping = solver.step(5, {
    onEvent: (event) => {
      if (event.type === 'iteration' && event.iteration === 1) solver.request('stop');
    },
  });
  assert.equal((await stopping).reason, 'stopped');
  assert.is((await solver.step(1)).iteration, 3);
  const world = fakes();
  world.loss = (pass) => (pass === 2 ? Number.NaN : 1);
  await using diverging = fakeSolver(world, newFolder(), 'max_iter: 9');
  assert.is((await diverging.step(5)).reason, 'diverged');
  assert.match((await rejected(diverging.step(1))).message, /has not diverged/);
});

test.run();
