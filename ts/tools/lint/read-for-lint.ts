/** Reads a prototxt's text into the form that rules examine: a net for each phase, or a solver. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PrototxtError, ResnodeError } from '../../base/errors.ts';
import { checkRegularFile } from '../../base/files.ts';
import type { Shapes } from '../../base/shape.ts';
import { checkSolver, solverNetState } from '../../caffe/check-solver.ts';
import { inheritPosition, type Message } from '../../caffe/message.ts';
import { filterNet, type LayerParameter, type NetParameter, readNetFile } from '../../caffe/net-parameter.ts';
import { parseMessage } from '../../caffe/prototxt.ts';
import { wrongPrototxt } from '../../caffe/prototxt-file.ts';
import type { ForkField } from '../../caffe/prototxt-source.ts';
import type { SolverParameter } from '../../caffe/solver-parameter.ts';
import { upgradeNet, upgradeSolver } from '../../caffe/upgrade.ts';
import { isLossType } from '../../layers/index.ts';
import { isPublicDataLayer } from '../../layers/public-modules.ts';
import { partialGraph } from '../view/partial-graph.ts';
import type { LintNet, LintSolver, LintState } from './rule.ts';

export type Subject = (
  | { readonly kind: 'net'; readonly net: LintNet }
  | { readonly kind: 'solver'; readonly solver: LintSolver }
) & {
  /** Extensions of Caffe's forks, without which the net or solver was read. */
  readonly foreign: readonly ForkField[];
};

/** @throws PrototxtError if the text is neither a net nor a solver; of two errors the one further down */
export function readForLint(text: string, file: string, inputShapes: Shapes): Subject {
  const read = (type: string) => {
    const foreign: ForkField[] = [];
    try {
      const message = parseMessage(type, text, { file, onForkField: (field) => foreign.push(field) });
      return { message, foreign };
    } catch (error) {
      if (error instanceof PrototxtError) return error;
      throw error;
    }
  };
  const net = read('NetParameter');
  if (!(net instanceof PrototxtError))
    return { kind: 'net', net: lintNet(net.message, file, inputShapes), foreign: net.foreign };
  const solver = read('SolverParameter');
  if (!(solver instanceof PrototxtError))
    return { kind: 'solver', solver: lintSolver(solver.message, file), foreign: solver.foreign };
  const wrong = wrongPrototxt(text, 'net or solver', file);
  if (wrong !== null) throw wrong;
  const [a, b] = [net.position, solver.position];
  throw b.line > a.line || (b.line === a.line && b.column > a.column) ? solver : net;
}

/** The path of a file that a prototxt names: as written (Caffe's way), or beside the prototxt. */
function find(path: string, file: string): string | undefined {
  return [path, join(dirname(file), path), join(dirname(file), basename(path))].find((each) =>
    existsSync(each),
  );
}

function lintNet(written: Message, file: string, inputShapes: Shapes): LintNet {
  // Both phases are examined, regardless of the net's own state.
  const { state: _, ...net } = upgradeNet(written) as NetParameter;
  const states = (['TRAIN', 'TEST'] as const).flatMap((phase) => {
    const { layer: layers = [] } = filterNet(net, { phase });
    const hasInput = layers.some(({ bottom = [] }) => bottom.length === 0);
    return hasInput && (phase === 'TEST' || isTraining(layers))
      ? [stateOf(net, layers, phase, inputShapes)]
      : [];
  });
  const read = (path: string) => {
    const found = find(path, file);
    try {
      if (found !== undefined) checkRegularFile(found);
      return found === undefined ? undefined : new Uint8Array(readFileSync(found));
    } catch {
      return undefined;
    }
  };
  return { written, net, states, read, find: (path) => find(path, file) };
}

const isTraining = (layers: readonly LayerParameter[]) => layers.some(({ type }) => isLossType(type));

function stateOf(
  net: NetParameter,
  layers: readonly LayerParameter[],
  phase: 'TRAIN' | 'TEST',
  inputShapes: Shapes,
): LintState {
  // Neither `param` nor the phase changes a shape, and their mistakes have their own rules.
  const bare = new Map<LayerParameter, LayerParameter>();
  for (const layer of layers) {
    const { param: _, ...rest } = { name: '', ...layer };
    inheritPosition(rest, layer);
    bare.set(rest, layer);
  }
  // A blob may be an input in only one phase.
  const fed = new Set(layers.filter(({ bottom = [] }) => bottom.length === 0).flatMap(({ top = [] }) => top));
  const given = Object.fromEntries(Object.entries(inputShapes).filter(([name]) => fed.has(name)));
  const { graph, missing } = partialGraph(
    { ...net, layer: [...bare.keys()] },
    { phase: 'TEST', inputShapes: given },
  );
  const reasons = new Map([...missing].map(([layer, why]) => [bare.get(layer)!, why]));
  return {
    phase,
    trains: phase === 'TRAIN',
    layers,
    graph,
    missing: reasons,
    assumesShapes: layers.some(
      (layer) => isPublicDataLayer(layer) && (layer.top ?? []).some((top) => given[top] === undefined),
    ),
    shapeOf: (blob) => {
      const id = graph.blobs.get(blob);
      return id === undefined ? undefined : graph.values[id]!.shape;
    },
  };
}

function lintSolver(written: Message, file: string): LintSolver {
  const solver = upgradeSolver(written) as SolverParameter;
  return {
    written,
    solver,
    trainLayers: () => {
      try {
        const { train } = checkSolver(solver);
        const path = typeof train.source === 'string' ? find(train.source, file) : undefined;
        const net = typeof train.source === 'string' ? path && readNetFile(path) : train.source;
        return net ? filterNet(net, solverNetState(train, net)).layer : undefined;
      } catch (error) {
        // The solver's own rule, or linting the net, reports the error.
        if (error instanceof ResnodeError) return undefined;
        throw error;
      }
    },
  };
}
