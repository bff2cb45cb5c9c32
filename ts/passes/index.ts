/** The passes, in order. Each is a pure function Graph → Graph that keeps the visible values exact. */
import { callback, list, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { type Graph, graph } from '../graph/graph.ts';
import { moveCrops } from './move-crops.ts';
import { moveStrides } from './move-strides.ts';
import {
  dropIdentity,
  foldAffine,
  fuseActivation,
  fuseRelu,
  fuseResidual,
  removeUnused,
} from './simplify.ts';

export interface Pass {
  readonly name: string;
  /** The reason for its position. */
  readonly reason: string;
  readonly run: (graph: Graph) => Graph;
}

export interface PassesOptions {
  readonly only?: readonly string[];
  readonly onPass?: (pass: Pass, before: Graph, after: Graph) => void;
}

export const passes: readonly Pass[] = [
  {
    name: 'drop-identity',
    reason: 'first, so that no later pattern has to skip Dropout and Split',
    run: dropIdentity,
  },
  {
    name: 'remove-unused',
    reason: 'early, because a value with an unused reader could not be fused',
    run: removeUnused,
  },
  {
    name: 'move-crops',
    reason: 'before the fusions, because a crop after a convolution would prevent them',
    run: moveCrops,
  },
  {
    name: 'fold-affine',
    reason: 'before the fusions, because BatchNorm and Scale are between a convolution and its sum',
    run: foldAffine,
  },
  { name: 'fuse-residual', reason: 'before ReLU, which comes after the sum', run: fuseResidual },
  { name: 'fuse-relu', reason: 'completes convolution → sum → ReLU', run: fuseRelu },
  {
    name: 'fuse-activation',
    reason: 'beside fuse-relu: what may come last in a convolution or an inner product',
    run: fuseActivation,
  },
  { name: 'move-strides', reason: 'last: it moves whole fused convolutions', run: moveStrides },
];

/** Names of all passes but one. */
export const passesApartFrom = (pass: string): string[] =>
  passes.map(({ name }) => name).filter((name) => name !== pass);

const RUN_PASSES = signature('runPasses', {
  graph: required(graph, 'A graph, as graphFromCaffe makes it.'),
  options: optional(
    options<PassesOptions>({
      only: optional(list(string, { of: 'names of passes' }), 'all', 'The passes to run.'),
      onPass: optional(
        callback<NonNullable<PassesOptions['onPass']>>(),
        'none',
        'Called with the graph before and after each pass.',
      ),
    }),
    'none',
    'Which passes to run.',
  ),
});

/**
 * Runs all passes, or the named ones.
 * @param options.onPass Called with the graph before and after each pass.
 */
export function runPasses(graph: Graph, options: PassesOptions = {}): Graph {
  RUN_PASSES.check(graph, options);
  let current = graph;
  for (const pass of passes) {
    if (options.only !== undefined && !options.only.includes(pass.name)) continue;
    const after = pass.run(current);
    options.onPass?.(pass, current, after);
    current = after;
  }
  return current;
}
