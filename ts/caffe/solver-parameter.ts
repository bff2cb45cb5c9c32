/** SolverParameter, which describes how to train a net, and its reader. Fields have caffe.proto's own names. */
import { type Kind, path, string } from '../base/kinds.ts';
import { options, required, signature } from '../base/options.ts';
import { message } from './message-kind.ts';
import type { NetParameter } from './net-parameter.ts';
import { parsePrototxt, readPrototxtFile } from './prototxt-file.ts';
import { upgradeSolver } from './upgrade.ts';

/** The state that a solver requests for a net, before the net's own state is known. */
export type SolverNetState = NonNullable<NetParameter['state']>;

/** A solver's file; only the fields that were written are set. 64-bit seeds beyond 2^53 are bigints. */
export interface SolverParameter {
  net?: string;
  net_param?: NetParameter;
  train_net?: string;
  test_net?: string[];
  train_net_param?: NetParameter;
  test_net_param?: NetParameter[];
  train_state?: SolverNetState;
  test_state?: SolverNetState[];
  test_iter?: number[];
  test_interval?: number;
  test_compute_loss?: boolean;
  test_initialization?: boolean;
  base_lr?: number;
  display?: number;
  average_loss?: number;
  max_iter?: number;
  iter_size?: number;
  lr_policy?: string;
  gamma?: number;
  power?: number;
  momentum?: number;
  weight_decay?: number;
  regularization_type?: string;
  stepsize?: number;
  stepvalue?: number[];
  clip_gradients?: number;
  snapshot?: number;
  snapshot_prefix?: string;
  snapshot_diff?: boolean;
  snapshot_format?: 'HDF5' | 'BINARYPROTO';
  solver_mode?: 'CPU' | 'GPU';
  device_id?: number;
  random_seed?: number | bigint;
  type?: string;
  delta?: number;
  momentum2?: number;
  rms_decay?: number;
  debug_info?: boolean;
  snapshot_after_train?: boolean;
  layer_wise_reduce?: boolean;
  weights?: string[];
  /** An extension: `dampened` is the momentum of Torch and CNTK. */
  momentum_convention?: 'caffe' | 'dampened';
  /** An extension: LARS's trust coefficient. */
  lars_trust?: number;
  /** An extension: keeps an average of the weights, which is tested and written. */
  ema_decay?: number;
  /** An extension: for each SoftmaxWithLoss of the training net without its own value. */
  label_smoothing?: number;
  mixup?: number;
}

export const solverParameter: Kind<SolverParameter> = message('SolverParameter');

const READ_SOLVER = signature('readSolver', {
  text: required(string, 'The text of the prototxt.'),
  options: required(
    options<{ file: string }>({ file: required(string, 'The name of the file in errors.') }),
    'The name of the text.',
  ),
});

/**
 * Reads a solver's prototxt. An old `solver_type` becomes `type`. `checkSolver` checks its values.
 * @param options.file The name for errors.
 * @throws PrototxtError with file:line:column.
 */
export function readSolver(text: string, options: { file: string }): SolverParameter {
  READ_SOLVER.check(text, options);
  return upgradeSolver(parsePrototxt('solver', text, options)) as SolverParameter;
}

const READ_SOLVER_FILE = signature('readSolverFile', { file: required(path, 'The path of a prototxt.') });

/**
 * Reads the solver's prototxt at a path.
 * @throws PrototxtError; ArgumentError if it cannot be read
 * @example const solver = readSolverFile('solver.prototxt');
 */
export function readSolverFile(file: string): SolverParameter {
  READ_SOLVER_FILE.check(file);
  return readSolver(readPrototxtFile(file, 'solver', 'solver'), { file });
}
