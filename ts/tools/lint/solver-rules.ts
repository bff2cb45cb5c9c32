/** Rules about solvers. */

import { PrototxtError } from '../../base/errors.ts';
import { checkSolver } from '../../caffe/check-solver.ts';
import { positionOf } from '../../caffe/message.ts';
import { isLiveBatchNorm } from '../../graph/learning-faults.ts';
import { namedFile, solverFile, splitList } from '../../train/solver-nets.ts';
import type { Found, LintSolver, Rule } from './rule.ts';
import { messageOf } from './rule.ts';

function* refusal({ solver }: LintSolver): Iterable<Found> {
  try {
    checkSolver(solver);
  } catch (error) {
    if (!(error instanceof PrototxtError)) throw error;
    yield { position: error.position, message: messageOf(error) };
  }
}

function* warnings({ solver }: LintSolver): Iterable<Found> {
  try {
    yield* checkSolver(solver).warnings;
  } catch (error) {
    // The previous rule reports it.
    if (!(error instanceof PrototxtError)) throw error;
  }
}

// The first file named by a solver that does not exist.
function* missingFiles({ solver }: LintSolver): Iterable<Found> {
  try {
    const { parameters, train, tests } = checkSolver(solver);
    const nets = [train, ...tests].flatMap(({ source, field, position }) =>
      typeof source === 'string' ? [{ path: source, field, position }] : [],
    );
    const weights = (parameters.weights ?? [])
      .flatMap(splitList)
      .map((path) => ({ path, field: 'weights', position: positionOf(solver, 'weights') }));
    for (const { path, field, position } of [...nets, ...weights])
      namedFile(path, field, position, solverFile(solver));
  } catch (error) {
    if (!(error instanceof PrototxtError)) throw error;
    if (error.code === 'solver/file-not-found') yield { position: error.position, message: messageOf(error) };
  }
}

function* iterations({ solver, trainLayers }: LintSolver): Iterable<Found> {
  const size = solver.iter_size ?? 1;
  if (size <= 1) return;
  const live = (trainLayers() ?? []).filter((layer) => isLiveBatchNorm(layer, 'TRAIN'));
  if (live.length > 0)
    yield {
      position: positionOf(solver, 'iter_size'),
      message: `iter_size ${size} with ${live.length} live BatchNorm, the first "${live[0]!.name ?? ''}": statistics are computed over each of the ${size} parts of a batch`,
    };
}

export const solverRules: readonly Rule[] = [
  {
    name: 'solver-refused',
    level: 'error',
    on: 'solver',
    finds: "settings that Caffe's solvers refuse",
    why: 'solver.cpp and sgd_solver.cpp check them when the solver is built or at its first step.',
    fix: 'correct it as the message says',
    check: refusal,
  },
  {
    name: 'solver-file-missing',
    level: 'error',
    on: 'solver',
    finds: 'a net or weights that are neither in the working folder nor beside the solver',
    why: 'io.cpp (ReadProtoFromTextFile) ends Caffe if the file does not exist; it looks only in the working folder.',
    fix: "write the file's path from the working folder or from the solver's own",
    check: missingFiles,
  },
  {
    name: 'solver-hardly-meant',
    level: 'warning',
    on: 'solver',
    finds:
      'settings that Caffe accepts silently: no base_lr or 0, no max_iter, a policy without its fields, stepvalues out of order',
    why: 'A missing field counts as 0 (GetLearningRate in sgd_solver.cpp).',
    fix: 'write the field',
    check: warnings,
  },
  {
    name: 'iter-size-batch-norm',
    level: 'warning',
    on: 'solver',
    finds: 'iter_size above 1 for a net with live BatchNorm (if the net exists)',
    why: 'solver.cpp (Step) adds up gradients of iter_size forward passes, but batch_norm_layer.cpp computes its statistics in each pass separately.',
    fix: 'use the memory for a larger batch_size, or freeze the statistics (use_global_stats: true)',
    check: iterations,
  },
  {
    name: 'legacy-solver-type',
    level: 'warning',
    on: 'solver',
    finds: 'solver_type instead of type',
    why: 'upgrade_proto.cpp (UpgradeSolverType) turns it into type; both together are refused.',
    fix: 'write type: "SGD" (Nesterov, AdaGrad, RMSProp, AdaDelta, Adam)',
    check: ({ written }) =>
      written.solver_type === undefined
        ? []
        : [{ position: positionOf(written, 'solver_type'), message: 'solver_type is the old enum' }],
  },
];
