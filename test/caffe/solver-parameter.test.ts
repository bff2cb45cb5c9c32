import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, PrototxtError } from '../../ts/base/errors.ts';
import { checkSolver, solverNetState } from '../../ts/caffe/check-solver.ts';
import { positionOf } from '../../ts/caffe/message.ts';
import { filterNet, type NetParameter, readNet } from '../../ts/caffe/net-parameter.ts';
import { readSolver, readSolverFile } from '../../ts/caffe/solver-parameter.ts';
import { goldenFolder, readJson, sharedFolder } from '../support/golden.ts';

const check = (text: string, file = 'solver.prototxt') => checkSolver(readSolver(text, { file }));
const FIXED = 'net: "n"\nbase_lr: 0.1\nmax_iter: 5\nlr_policy: "fixed"\n';

function refusal(text: string, file?: string): PrototxtError {
  try {
    check(text, file);
  } catch (error) {
    assert.instance(error, PrototxtError);
    return error as PrototxtError;
  }
  return assert.unreachable('it was accepted') as never;
}

const golden = goldenFolder();
if (golden !== null) {
  const index = readJson<Record<string, { kind: string; ok: boolean }>>(join(golden, 'malformed/index.json'));
  for (const [name, entry] of Object.entries(index)) {
    if (entry.kind !== 'solver') continue;
    test(`malformed/${name} is ${entry.ok ? 'accepted' : 'refused with its place'}`, () => {
      const text = readFileSync(join(golden, 'malformed', name), 'utf8');
      if (entry.ok) check(text, name);
      else assert.match(refusal(text, name).message, new RegExp(`^${name}:\\d+:\\d+: `));
    });
  }
  for (const group of ['solver', 'train']) {
    for (const name of readdirSync(join(golden, group))) {
      const file = join(golden, group, name, 'solver.prototxt');
      if (!existsSync(file)) continue;
      test(`${group}/${name}, which Caffe ran, is accepted without a warning`, () => {
        const { parameters, train, warnings } = checkSolver(readSolverFile(file));
        assert.is(train.source, 'net.prototxt');
        assert.ok(parameters.base_lr > 0);
        const late = name === 'lr_multistep_dup' ? ['solver/stepvalue-order'] : [];
        assert.equal(
          warnings.map(({ code }) => code),
          late,
        );
      });
    }
  }
}

// The messages for the checks in sgd_solver.cpp, solver.cpp and sgd_solvers.hpp.
for (const [what, text, place, code, words] of [
  [
    'a momentum of NaN',
    `${FIXED}momentum: nan`,
    '5:1',
    'number',
    'momentum must be a finite number, found NaN',
  ],
  [
    'an infinite bound of gradients',
    `${FIXED}clip_gradients: inf`,
    '5:1',
    'number',
    'clip_gradients must be a finite number, found Infinity',
  ],
  [
    'an unknown type',
    `${FIXED}type: "Adm"`,
    '5:1',
    'unknown-type',
    'type "Adm" is unknown; did you mean "Adam"?',
  ],
  ['no policy', 'net: "n"', '1:1', 'no-policy', 'lr_policy is missing; give one of fixed, step'],
  [
    'an unknown policy',
    'net: "n" lr_policy: "cosine"',
    '1:10',
    'unknown-policy',
    '"cosine" is unknown (known: fixed',
  ],
  [
    'step without stepsize',
    'net: "n" lr_policy: "step"',
    '1:10',
    'stepsize',
    'needs a stepsize of at least 1, but it',
  ],
  ['sigmoid, stepsize 0', 'net: "n" lr_policy: "sigmoid"\nstepsize: 0', '2:1', 'stepsize', 'but found 0'],
  ['a negative gamma', 'net: "n" lr_policy: "exp"\ngamma: -1', '2:1', 'gamma', 'of at least 0, found -1'],
  [
    'AdaGrad with momentum',
    `${FIXED}type: "AdaGrad"\nmomentum: 0.5`,
    '6:1',
    'momentum',
    'AdaGrad takes no momentum',
  ],
  [
    'RMSProp by its old name',
    `${FIXED}solver_type: RMSPROP momentum: 1`,
    '5:22',
    'momentum',
    'RMSProp takes no',
  ],
  ['RMSProp decay', `${FIXED}type: "RMSProp" rms_decay: 1`, '5:17', 'rms-decay', 'below 1, found 1'],
  ['no net', 'lr_policy: "fixed"', '1:1', 'no-net', 'give one of net, net_param, train_net, train_net_param'],
  ['two nets', `${FIXED}net_param { }`, '5:1', 'several-nets', 'net and net_param all name'],
  ['two types', `${FIXED}type: "Adam"\nsolver_type: ADAM`, '6:1', '', 'keep only type'],
  ['average_loss 0', `${FIXED}average_loss: 0`, '5:1', 'count', 'average_loss must be at least 1, found 0'],
  ['iter_size 0', `${FIXED}iter_size: 0`, '5:1', 'count', 'iter_size must be at least 1, found 0'],
  [
    'L3',
    `${FIXED}weight_decay: 1\nregularization_type: "L3"`,
    '6:1',
    'unknown-regularization',
    '(known: L1, L2)',
  ],
  [
    'a test net without test_iter',
    `${FIXED}test_net: "t"`,
    '5:1',
    'test-iter',
    'given 0 times, expected at least 1',
  ],
  [
    'a test_iter too many',
    'train_net: "n" lr_policy: "fixed" test_net: "t"\ntest_iter: [1, 2] test_interval: 1',
    '2:1',
    'test-iter',
    'given 2 times, expected 1:',
  ],
  [
    'test_state',
    `${FIXED}test_iter: [1, 2] test_interval: 1\ntest_state { }`,
    '6:1',
    'test-state',
    'given 1 times, expected none or 2',
  ],
  [
    'test_iter 0',
    `${FIXED}test_iter: [1, 0]\ntest_interval: 2`,
    '5:1',
    'count',
    'test_iter must be at least 1, found 0',
  ],
  ['no test_interval', `${FIXED}test_iter: 1`, '5:1', 'test-interval', 'but it is missing'],
  ['test_interval 0', `${FIXED}test_iter: 1\ntest_interval: 0`, '6:1', 'test-interval', 'but found 0'],
] as const) {
  test(`${what}: refused at the field`, () => {
    const error = refusal(text);
    if (code !== '') assert.is(error.code, `solver/${code}`);
    assert.ok(error.message.startsWith(`solver.prototxt:${place}: `), error.message);
    assert.ok(error.message.includes(words), error.message);
  });
}

test('values that Caffe does not check are accepted', () => {
  check(`${FIXED}regularization_type: "L3"`); // no weight_decay
  check(`${FIXED}type: "SGD" rms_decay: 7`);
  check(`${FIXED}test_interval: 0`);
  check('net: "n" lr_policy: "fixed"');
});

test('a value that Caffe accepts but nobody intends gives a warning with its position', () => {
  const codes = (text: string) =>
    check(text).warnings.map(({ code, position }) => `${code} ${position?.line}`);
  assert.equal(codes('net: "n"\nlr_policy: "step" stepsize: 1'), [
    'solver/no-base-lr 1',
    'solver/no-max-iter 1',
    'solver/no-gamma 2',
  ]);
  assert.equal(codes('net: "n" base_lr: 1 max_iter: 9\nlr_policy: "multistep" gamma: 1\nstepvalue: [5, 5]'), [
    'solver/stepvalue-order 3',
  ]);
  assert.equal(codes('net: "n" base_lr: 1 max_iter: 9\nlr_policy: "multistep" gamma: 1'), [
    'solver/no-stepvalue 2',
  ]);
  const odd = (text: string) =>
    check(`net: "n" lr_policy: "fixed"\n${text}`).warnings.map(({ message }) => message);
  assert.equal(
    odd('base_lr: -1 max_iter: -5 momentum: 1.5 weight_decay: -2 clip_gradients: 0 snapshot: -3 display: -4'),
    [
      'base_lr is -1: the weights follow the gradient, and the loss grows',
      'max_iter is -5: no iteration runs',
      'momentum is 1.5: updates stay bounded only from 0 to below 1',
      'weight_decay is -2: it lets the weights grow',
      'clip_gradients is 0: every gradient becomes 0, and nothing learns; remove it',
      'snapshot is -3: only the end is saved; give the iterations between snapshots',
      'display is -4: no iteration is displayed; give the iterations between lines',
    ],
  );
  assert.equal(
    odd('base_lr: 1 max_iter: 1 momentum: 0.9 weight_decay: 0 clip_gradients: -1 snapshot: 0 display: 0'),
    [],
  );
});

test('defaults are filled in, and the given solver is not changed', () => {
  const solver = readSolver(FIXED, { file: 'a.b/solver.prototxt' });
  const before = structuredClone(solver);
  const { parameters } = checkSolver(solver);
  assert.equal(solver, before);
  const { type, momentum, iter_size, clip_gradients, snapshot_prefix, regularization_type } = parameters;
  assert.equal(
    { type, momentum, iter_size, clip_gradients, snapshot_prefix, regularization_type },
    {
      type: 'SGD',
      momentum: 0,
      iter_size: 1,
      clip_gradients: -1,
      snapshot_prefix: 'a.b/solver',
      regularization_type: 'L2',
    },
  );
});

test("test nets come in Caffe's order, and nets inside the solver are upgraded", () => {
  const { train, tests } = check(
    `net_param { layers { name: "a" type: SILENCE } } lr_policy: "fixed" test_interval: 1
     test_net: "file" test_net_param { name: "inside" } test_iter: [1, 2, 3, 4]
     test_state { } test_state { level: 2 } test_state { } test_state { stage: "s" }`,
  );
  assert.equal(train.source, { layer: [{ name: 'a', type: 'Silence' }] });
  assert.is(positionOf((train.source as NetParameter).layer![0])!.column, 20);
  assert.equal(
    tests.map(({ source, state, iterations }) => [source, state, iterations]),
    [
      [{ name: 'inside' }, {}, 1],
      ['file', { level: 2 }, 2],
      [train.source, {}, 3],
      [train.source, { stage: ['s'] }, 4],
    ],
  );
});

test("a net's state: the phase, under the net's own, under the solver's; stages add up", () => {
  const net = readNet('state { level: 1 stage: "a" } layer { name: "x" include { stage: ["a", "b"] } }', {
    file: 'net.prototxt',
  });
  const state = solverNetState({ phase: 'TRAIN', state: { stage: ['b'] } }, net);
  assert.equal(state, { phase: 'TRAIN', level: 1, stages: ['a', 'b'] });
  assert.is(filterNet(net, state).layer!.length, 1);
  assert.equal(solverNetState({ phase: 'TRAIN', state: { phase: 'TEST', level: 3 } }, net), {
    phase: 'TEST',
    level: 3,
    stages: ['a'],
  });
});

test('a missing file is an ArgumentError', () => {
  assert.throws(
    () => readSolverFile('none.prototxt'),
    (error: unknown) =>
      error instanceof ArgumentError && error.message.includes('none.prototxt"; there is no such file'),
  );
});

const wild = join(sharedFolder() ?? '', 'prototxt-wild');
if (!existsSync(join(wild, 'index.json'))) {
  console.log('skipped: no solvers from the wild at shared/prototxt-wild beside the checkout');
} else {
  for (const { file, kind, bvlc_parse } of readJson<{ file: string; kind: string; bvlc_parse: string }[]>(
    join(wild, 'index.json'),
  )) {
    if (kind !== 'solver' || bvlc_parse !== 'ok') continue;
    const text = readFileSync(join(wild, file), 'utf8');
    const hasNet = /^\s*(train_)?net\s*:/m.test(text);
    test(`${file} is ${hasNet ? 'accepted' : 'refused, for its net is commented out'}`, () => {
      if (hasNet) check(text);
      else assert.is(refusal(text).code, 'solver/no-net');
    });
  }
}

test.run();
