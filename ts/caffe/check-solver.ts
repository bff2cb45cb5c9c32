/**
 * Checks a solver in advance for what Caffe refuses when it builds a solver and at its first step (solver.cpp,
 * sgd_solver.cpp).
 */

import type { CodeOf } from '../base/error-codes.ts';
import { type Position, PrototxtError } from '../base/errors.ts';
import { oneOf } from '../base/kinds.ts';
import { fields, required, signature } from '../base/options.ts';
import { nearest } from '../base/suggest.ts';
import { inheritPosition, type Message, positionOf } from './message.ts';
import { message } from './message-kind.ts';
import { type NetParameter, type NetState, netParameter, withDefaults } from './net-parameter.ts';
import { checkExtensions, EXTENSION_TYPES, extensionsOf } from './solver-extensions.ts';
import { type SolverNetState, type SolverParameter, solverParameter } from './solver-parameter.ts';
import { upgradeNet } from './upgrade.ts';

export type SolverType = 'SGD' | 'Nesterov' | 'AdaGrad' | 'RMSProp' | 'AdaDelta' | 'Adam' | 'AdamW' | 'LARS';
const SOLVER_TYPES: readonly SolverType[] = [
  ...(['SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam'] as const),
  ...EXTENSION_TYPES,
];

export type LearningRatePolicy = 'fixed' | 'step' | 'exp' | 'inv' | 'multistep' | 'poly' | 'sigmoid';
type PolicyField = 'gamma' | 'power' | 'stepsize' | 'stepvalue' | 'max_iter';

/** Policy → the fields that its formula reads in addition to base_lr (GetLearningRate in sgd_solver.cpp). */
const POLICIES: Readonly<Record<LearningRatePolicy, readonly PolicyField[]>> = {
  fixed: [],
  step: ['gamma', 'stepsize'],
  exp: ['gamma'],
  inv: ['gamma', 'power'],
  multistep: ['gamma', 'stepvalue'],
  poly: ['power', 'max_iter'],
  sigmoid: ['gamma', 'stepsize'],
};

/** protobuf's value of a field that is not written and has no default. */
const ZEROS = {
  base_lr: 0,
  display: 0,
  max_iter: 0,
  gamma: 0,
  power: 0,
  momentum: 0,
  weight_decay: 0,
  stepsize: 0,
  stepvalue: [],
};
const NET_FIELDS = ['net', 'net_param', 'train_net', 'train_net_param'] as const;

/** A net that a solver trains or tests. */
export interface SolverNet {
  /** The path as written, which Caffe resolves from the working folder, or the net inside the solver, upgraded. */
  readonly source: string | NetParameter;
  readonly phase: 'TRAIN' | 'TEST';
  /** `train_state` or this net's `test_state`. */
  readonly state: SolverNetState;
  /** The solver's field that names it, and its position. */
  readonly field: string;
  readonly position: Position | undefined;
}

/** A setting that Caffe accepts but that is probably a mistake. */
export interface SolverWarning {
  readonly code: string;
  readonly position: Position | undefined;
  readonly message: string;
}

/** A solver's parameters, as written or by default. */
export interface SolverSettings extends SolverParameter {
  type: SolverType;
  lr_policy: LearningRatePolicy;
  base_lr: number;
  gamma: number;
  power: number;
  stepsize: number;
  stepvalue: number[];
  momentum: number;
  momentum2: number;
  rms_decay: number;
  delta: number;
  weight_decay: number;
  regularization_type: string;
  clip_gradients: number;
  max_iter: number;
  iter_size: number;
  average_loss: number;
  display: number;
  test_interval: number;
  snapshot: number;
  /** If none is written: the solver file's path without its extension. */
  snapshot_prefix: string;
  random_seed: number | bigint;
  momentum_convention: 'caffe' | 'dampened';
  lars_trust: number;
  ema_decay: number;
  label_smoothing: number;
  mixup: number;
  /** SSD's. */
  eval_type: string;
  ap_version: ApVersion;
  show_per_class_result: boolean;
}

/** ap_version of SSD's solver: VOC 2007's, VOC 2010's, and the plain area under the curve. */
export const AP_VERSIONS = ['11point', 'MaxIntegral', 'Integral'] as const;
export type ApVersion = (typeof AP_VERSIONS)[number];
const EVAL_TYPES = ['classification', 'detection'];

/** A solver that Caffe accepts. */
export interface CheckedSolver {
  readonly parameters: SolverSettings;
  readonly train: SolverNet;
  /** In Caffe's order: test_net_param, test_net, then the common net for the remaining values of test_iter. */
  readonly tests: readonly (SolverNet & { readonly iterations: number })[];
  readonly warnings: readonly SolverWarning[];
}

const CHECK_SOLVER = signature('checkSolver', {
  solver: required(solverParameter, 'A solver, as readSolver returns it.'),
});

/**
 * Checks a solver without opening its nets, and without changing it.
 * @throws PrototxtError (`solver/…`) at the field, with what was found, what is expected and the cure.
 * @example const { parameters, warnings } = checkSolver(readSolverFile('solver.prototxt'));
 */
export function checkSolver(solver: SolverParameter): CheckedSolver {
  CHECK_SOLVER.check(solver);
  const parameters = withDefaults<SolverSettings>('SolverParameter', { ...ZEROS, ...solver });
  inheritPosition(parameters, solver);
  parameters.snapshot_prefix ??= positionOf(solver)?.file.replace(/\.[^./\\]*$/, '') ?? 'solver';
  checkNumbers(solver);
  checkType(solver, parameters);
  checkExtensions(solver, parameters, refuse);
  checkEvaluation(solver, parameters);
  checkPolicy(solver, parameters);
  checkCounts(solver, parameters);
  const train = trainNet(solver);
  return { parameters, train, tests: testNets(solver, parameters), warnings: warningsOf(solver, parameters) };
}

const SOLVER_NET_STATE = signature('solverNetState', {
  solverNet: required(
    fields<Pick<SolverNet, 'phase' | 'state'>>('a net of a CheckedSolver', {
      phase: required(oneOf('TRAIN', 'TEST'), 'The phase of the net.'),
      state: required(message('NetState'), "The solver's NetState for the net."),
    }),
    "A net of checkSolver's result.",
  ),
  net: required(netParameter, 'The net that the solver names, as read.'),
});

/**
 * The state with which `filterNet` filters a solver's net. The net's own state takes precedence over its phase, and the
 * solver's over both; stages add up (InitTrainNet and InitTestNets in solver.cpp).
 * @param net The net that `solverNet.source` names, parsed.
 */
export function solverNetState(solverNet: Pick<SolverNet, 'phase' | 'state'>, net: NetParameter): NetState {
  SOLVER_NET_STATE.check(solverNet, net);
  const { phase, state } = solverNet;
  return {
    phase: state.phase ?? net.state?.phase ?? phase,
    level: state.level ?? net.state?.level ?? 0,
    stages: [...(net.state?.stage ?? []), ...(state.stage ?? [])],
  };
}

function refuse(
  solver: SolverParameter,
  field: string | undefined,
  code: CodeOf<'solver'>,
  text: string,
): never {
  const position = positionOf(solver, field) ?? { file: '<message>', line: 1, column: 1 };
  throw new PrototxtError(`solver/${code}`, position, text);
}

function unknown(value: string, known: readonly string[]): string {
  const near = nearest(value, known);
  return `"${value}" is unknown${near === undefined ? '' : `; did you mean "${near}"?`} (known: ${known.join(', ')})`;
}

function checkType(solver: SolverParameter, { type, momentum, rms_decay }: SolverSettings) {
  if (!SOLVER_TYPES.includes(type))
    refuse(solver, 'type', 'unknown-type', `type ${unknown(type, SOLVER_TYPES)}`);
  if ((type === 'AdaGrad' || type === 'RMSProp') && momentum !== 0)
    refuse(solver, 'momentum', 'momentum', `${type} takes no momentum, found ${momentum}; remove it`);
  if (type === 'RMSProp' && !(rms_decay >= 0 && rms_decay < 1))
    refuse(solver, 'rms_decay', 'rms-decay', `rms_decay must be at least 0 and below 1, found ${rms_decay}`);
}

/** SSD's solver: a net whose outputs are rows of DetectionEvaluate is tested as a detector, regardless of eval_type. */
function checkEvaluation(solver: SolverParameter, { eval_type, ap_version }: SolverSettings) {
  if (!EVAL_TYPES.includes(eval_type))
    refuse(solver, 'eval_type', 'unknown-type', `eval_type ${unknown(eval_type, EVAL_TYPES)}`);
  if (!AP_VERSIONS.includes(ap_version))
    refuse(solver, 'ap_version', 'unknown-type', `ap_version ${unknown(ap_version, AP_VERSIONS)}`);
}

/** Caffe would train with NaN, and every value of the net would become NaN. */
function checkNumbers(solver: SolverParameter) {
  for (const [field, value] of Object.entries(solver))
    if (typeof value === 'number' && !Number.isFinite(value))
      refuse(solver, field, 'number', `${field} must be a finite number, found ${value}`);
}

function checkPolicy(solver: SolverParameter, { lr_policy, gamma, stepsize }: SolverSettings) {
  const known = Object.keys(POLICIES);
  if (lr_policy === undefined)
    refuse(solver, undefined, 'no-policy', `lr_policy is missing; give one of ${known.join(', ')}`);
  if (!Object.hasOwn(POLICIES, lr_policy))
    refuse(solver, 'lr_policy', 'unknown-policy', `lr_policy ${unknown(lr_policy, known)}`);
  const reads = POLICIES[lr_policy];
  if (reads.includes('stepsize') && !(stepsize > 0)) {
    const found = solver.stepsize === undefined ? 'it is missing' : `found ${stepsize}`;
    refuse(
      solver,
      solver.stepsize === undefined ? 'lr_policy' : 'stepsize',
      'stepsize',
      `lr_policy "${lr_policy}" needs a stepsize of at least 1, but ${found}; give the iterations as stepsize`,
    );
  }
  if (reads.includes('gamma') && !(gamma >= 0))
    refuse(solver, 'gamma', 'gamma', `lr_policy "${lr_policy}" needs a gamma of at least 0, found ${gamma}`);
}

function checkCounts(solver: SolverParameter, parameters: SolverSettings) {
  // Caffe does not check iter_size, and divides by it.
  for (const field of ['average_loss', 'iter_size'] as const) {
    if (parameters[field] < 1)
      refuse(solver, field, 'count', `${field} must be at least 1, found ${parameters[field]}`);
  }
  // Caffe divides by it, too, after the test.
  const none = (solver.test_iter ?? []).find((iterations) => iterations < 1);
  if (none !== undefined)
    refuse(
      solver,
      'test_iter',
      'count',
      `test_iter must be at least 1, found ${none}; remove it to test nothing`,
    );
  const { regularization_type, weight_decay } = parameters;
  if (weight_decay !== 0 && regularization_type !== 'L1' && regularization_type !== 'L2') {
    const text = `regularization_type ${unknown(regularization_type, ['L1', 'L2'])}`;
    refuse(solver, 'regularization_type', 'unknown-regularization', text);
  }
}

// A net file is upgraded when it is read. Caffe does not upgrade a net inside the solver.
const upgraded = (net: NetParameter) => upgradeNet(net as Message) as NetParameter;

function trainNet(solver: SolverParameter): SolverNet {
  const given = NET_FIELDS.filter((field) => solver[field] !== undefined);
  if (given.length === 0)
    refuse(solver, undefined, 'no-net', `no net to train; give one of ${NET_FIELDS.join(', ')}`);
  if (given.length > 1)
    refuse(solver, given[1], 'several-nets', `${given.join(' and ')} all name the net to train; keep one`);
  const field = given[0]!;
  const source = solver[field]!;
  return {
    ...{ field, position: positionOf(solver, field) },
    source: typeof source === 'string' ? source : upgraded(source),
    phase: 'TRAIN',
    state: solver.train_state ?? {},
  };
}

function testNets(solver: SolverParameter, parameters: SolverSettings): CheckedSolver['tests'] {
  const sources = [...(solver.test_net_param ?? []).map(upgraded), ...(solver.test_net ?? [])];
  const { test_iter = [], test_state = [] } = solver;
  const common = solver.net ?? (solver.net_param === undefined ? undefined : upgraded(solver.net_param));
  if (test_iter.length < sources.length || (common === undefined && test_iter.length > sources.length)) {
    const expected = `${common === undefined ? '' : 'at least '}${sources.length}`;
    refuse(
      solver,
      test_iter.length > 0 ? 'test_iter' : solver.test_net === undefined ? 'test_net_param' : 'test_net',
      'test-iter',
      `test_iter is given ${test_iter.length} times, expected ${expected}: once for each test net`,
    );
  }
  if (test_state.length > 0 && test_state.length !== test_iter.length) {
    const text = `test_state is given ${test_state.length} times, expected none or ${test_iter.length}: once for each test net`;
    refuse(solver, 'test_state', 'test-state', text);
  }
  if (test_iter.length > 0 && !(parameters.test_interval > 0)) {
    const found = solver.test_interval === undefined ? 'it is missing' : `found ${solver.test_interval}`;
    refuse(
      solver,
      solver.test_interval === undefined ? 'test_iter' : 'test_interval',
      'test-interval',
      `testing needs a test_interval of at least 1, but ${found}; give the iterations between tests, or remove test_iter`,
    );
  }
  const inside = solver.test_net_param?.length ?? 0;
  const commonField = solver.net === undefined ? 'net_param' : 'net';
  const fieldOf = (i: number) =>
    i < inside ? 'test_net_param' : i < sources.length ? 'test_net' : commonField;
  return test_iter.map((iterations, i) => ({
    ...{ field: fieldOf(i), position: positionOf(solver, fieldOf(i)) },
    source: sources[i] ?? common!,
    phase: 'TEST',
    state: test_state[i] ?? {},
    iterations,
  }));
}

/** Values that Caffe does not check. */
const ODD_VALUES = [
  ['base_lr', (value) => value < 0, 'the weights follow the gradient, and the loss grows'],
  ['max_iter', (value) => value < 1, 'no iteration runs'],
  ['momentum', (value) => value < 0 || value >= 1, 'updates stay bounded only from 0 to below 1'],
  ['weight_decay', (value) => value < 0, 'it lets the weights grow'],
  ['clip_gradients', (value) => value === 0, 'every gradient becomes 0, and nothing learns; remove it'],
  ['snapshot', (value) => value < 0, 'only the end is saved; give the iterations between snapshots'],
  ['display', (value) => value < 0, 'no iteration is displayed; give the iterations between lines'],
] as const satisfies readonly (readonly [
  field: keyof SolverParameter,
  isOdd: (value: number) => boolean,
  effect: string,
])[];

function warningsOf(solver: SolverParameter, parameters: SolverSettings): SolverWarning[] {
  const { lr_policy, stepvalue } = parameters;
  const warnings: SolverWarning[] = [];
  const warn = (field: string, code: string, message: string) =>
    warnings.push({ code: `solver/${code}`, position: positionOf(solver, field), message });
  for (const { field, message } of extensionsOf(parameters)) warn(field, 'extension', message);
  if (solver.base_lr === undefined) warn('base_lr', 'no-base-lr', 'base_lr is missing: the rate is 0');
  else if (solver.base_lr === 0) warn('base_lr', 'zero-base-lr', 'base_lr is 0: nothing learns');
  if (solver.max_iter === undefined)
    warn('max_iter', 'no-max-iter', 'max_iter is missing: no iteration would run');
  for (const [field, isOdd, effect] of ODD_VALUES) {
    const value = solver[field];
    if (value !== undefined && isOdd(value)) warn(field, 'odd-value', `${field} is ${value}: ${effect}`);
  }
  for (const field of POLICIES[lr_policy]) {
    if (field === 'max_iter' || solver[field] !== undefined) continue;
    const effect = field === 'stepvalue' ? 'the rate never steps' : 'it counts as 0';
    warn('lr_policy', `no-${field}`, `lr_policy "${lr_policy}" without ${field}: ${effect}`);
  }
  // sgd_solver.cpp takes at most one step per iteration, regardless of the values.
  if (lr_policy === 'multistep' && stepvalue.some((value, i) => i > 0 && value <= stepvalue[i - 1]!))
    warn(
      'stepvalue',
      'stepvalue-order',
      `stepvalue ${stepvalue.join(', ')} does not ascend: steps come late`,
    );
  return warnings;
}
