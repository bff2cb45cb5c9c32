/** NetParameter → the Program of a training step: forward, backward, and the solver's update if there is one. */
import { optionsOf } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Lowered } from '../compile/compile.ts';
import { lower, type ParameterRecipe } from '../compile/lower.ts';
import { type GraphOptions, graphOptions, graphSelecting } from '../graph/from-caffe.ts';
import type { Graph, ValueId } from '../graph/graph.ts';
import { resolveOutput } from '../graph/outputs.ts';
import type { BuildState } from '../layers/layer.ts';
import type { Program, ProgramOperation, ProgramParameterId, TensorId } from '../operations/program.ts';
import { dropIdentity, identitySources } from '../passes/simplify.ts';
import { appendUpdate, type CompleteUpdateRule, historySlots } from './append-update.ts';
import { differentiate } from './differentiate.ts';
import { fuseForTraining } from './fuse-for-training.ts';
import { isNarrow, type TrainPrecision } from './training-precision.ts';

export interface LowerTrainingOptions extends GraphOptions {
  /** Blobs that a step returns in addition to the net's outputs: `blob` or `blob@layer`. Each is kept to the step's end. */
  readonly outputs?: readonly string[];
  /** The solver's update of the diffs. Null: no update; `gradients` returns the diffs. */
  readonly update: CompleteUpdateRule | null;
  /** The history of a .solverstate, in its order: slot 0 of all learnable blobs, then slot 1. Default: zeros. */
  readonly history?: readonly Float32Array[];
  /** Averages of the weights to resume from, one for each learnable blob. Default: the weights. */
  readonly averages?: readonly Float32Array[];
  /** Blobs whose diffs `gradients` returns in addition to those of the parameters; only with `update: null`. */
  readonly diffs?: readonly string[];
  /** Use less memory and more time: recompute the inner values of blocks in the backward pass. Default false. */
  readonly recompute?: boolean;
  /**
   * With a communicator on the device: compute BatchNorm's batch statistics over all processes' batches together, which
   * must have the same size. Default false: each process uses its own, as in Caffe.
   */
  readonly synchronisedBatchNorm?: boolean;
  /**
   * The type in which feature maps and their diffs are stored and multiplied. All but `float32` (the default) need a CUDA
   * device.
   * Weights, their diffs, histories, BatchNorm's statistics, losses and every sum are always float32.
   */
  readonly precision?: TrainPrecision;
  /**
   * The backward pass starts with the losses' diffs times this factor, and the update divides by it, so that small diffs do
   * not become 0 in 16 bits (NVCaffe's global_grad_scale). Default 1024 for `float16`, else 1. In 16 bits, updates with
   * non-finite gradients are skipped. `dynamic`, in 16 bits and with an update, starts at 65536, halves after each skipped
   * update, and doubles after 2000 updates that are not skipped.
   */
  readonly lossScale?: number | 'dynamic';
  /** The processes that train the same net. Default: only this one. */
  readonly rank?: number;
  /** As in `differentiate`. Default false. */
  readonly sparesTraffic?: boolean;
  /** The seed of the fillers and of Dropout. Default 1. */
  readonly seed?: number;
}

/** One of Caffe's learnable_params: every blob of the net once, including BatchNorm's statistics. */
export interface Learnable {
  readonly layer: string;
  readonly index: number;
  readonly shape: readonly number[];
  /** 0: it does not learn. */
  readonly lrMult: number;
  readonly decayMult: number;
  /** All layers that have it: its own first, then those that share it by `param { name }`. */
  readonly places: readonly { readonly layer: string; readonly index: number }[];
}

/** A start of the backward pass: an input for a diff. */
export interface Seed {
  readonly blob: string;
  readonly shape: readonly number[];
  /** loss_weight; 0 if the blob is not a loss. */
  readonly weight: number;
}

/** An output for a diff: its index among the program's outputs; null: the diff is always 0. */
export interface DiffPlace {
  readonly output: number | null;
  readonly shape: readonly number[];
}

export interface LoweredTraining extends Lowered {
  /** The number of the program's operations, from the first on, that are the forward pass. */
  readonly forwardOperations: number;
  readonly learnable: readonly Learnable[];
  /** The parameter of each learnable. */
  readonly parameters: readonly ProgramParameterId[];
  /** The history of each learnable, slot by slot; null: always 0. Empty without an update. */
  readonly history: readonly (readonly ProgramParameterId[] | null)[];
  /** The average of each learnable, if averages are kept; null: the parameter itself. */
  readonly averages: readonly (ProgramParameterId | null)[];
  /** The program's inputs after the net's and the pass, in order. With an update, the schedule follows. */
  readonly seeds: readonly Seed[];
  readonly lossWeights: Readonly<Record<string, number>>;
  /** The index of the program's output that reports a skipped update; null: there is none. */
  readonly skipped: number | null;
  /** Without an update: the diffs of `learnable`, and the requested ones. */
  readonly diffs: {
    readonly parameters: readonly DiffPlace[];
    readonly blobs: ReadonlyMap<string, DiffPlace>;
  };
}

/**
 * @param selected The number of items that each Filter layer selects.
 * @throws GraphError
 */
export function lowerTraining(
  net: NetParameter,
  options: LowerTrainingOptions,
  selected?: BuildState['selected'],
): LoweredTraining {
  const written = graphSelecting(net, { phase: 'TRAIN', ...optionsOf(graphOptions, options) }, selected);
  const graph = dropIdentity(written);
  const named = outputsOf(written, graph, options.outputs ?? []);
  // A loss that is requested by a second name (`loss@loss`) is one loss.
  const firstName = new Map([...named].toReversed().map(([blob, id]) => [id, blob]));
  const seeds = [...named]
    .map(([blob, id]) => ({ id, blob, weight: graph.lossWeights.get(id) ?? 0 }))
    .filter(
      ({ id, blob, weight }, i) =>
        (weight !== 0 && firstName.get(id) === blob) ||
        (options.update === null && i < written.outputs.length),
    );
  const requested = (options.diffs ?? []).map((name) => ({ name, ...diffSource(written, name) }));

  const { seed, rank } = options;
  const {
    program: plain,
    recipes,
    pass,
    functions,
    selections,
  } = lower(graph, { training: true, seed, rank });
  const stay = [...named.values(), ...seeds.map(({ id }) => id), ...requested.map(({ id }) => id)];
  const forward = fuseForTraining({ ...plain, outputs: [...named.values()] }, new Set(stay));
  const parameters = parametersOf(graph, recipes);
  const learning = graph.parameters.flatMap(({ lrMult }, i) =>
    lrMult !== 0 || net.force_backward === true ? [parameters[i]!] : [],
  );
  const { program, parameterDiffs, tensorDiffs } = differentiate(forward, {
    seeds: seeds.map(({ id }) => id),
    parameters: new Set(learning),
    tensors: requested.map(({ id }) => id),
    sparesTraffic: options.sparesTraffic,
    ...(options.recompute ? { isKept: keepsBlockEnds(forward) } : {}),
  });
  const common = {
    forwardOperations: forward.operations.length,
    written,
    graph,
    names: [...named.keys()],
    pass,
    functions,
    selections,
    learnable: graph.parameters.map(({ layer, index, shape, lrMult, decayMult, places }) => ({
      ...{ layer, index, shape, lrMult, decayMult, places },
    })),
    parameters,
    seeds: seeds.map(({ id, blob, weight }) => ({ blob, weight, shape: graph.values[id]!.shape })),
    lossWeights: Object.fromEntries(
      seeds.filter(({ weight }) => weight !== 0).map(({ blob, weight }) => [blob, weight]),
    ),
    skipped: null,
  };
  if (options.update !== null) {
    const updating = withUpdate(
      graph,
      { program, recipes },
      parameters,
      parameterDiffs,
      options.update,
      seeds.map(({ id }) => id),
      options,
    );
    const step = rank !== undefined ? shareBetweenProcesses(updating.program, options) : updating.program;
    return { ...common, ...updating, program: step, diffs: { parameters: [], blobs: new Map() } };
  }
  const results: TensorId[] = [...program.outputs];
  const place = (id: TensorId | null | undefined, shape: readonly number[]): DiffPlace =>
    id == null ? { output: null, shape } : { output: results.push(id) - 1, shape };
  const blobs = new Map(
    requested.map(({ name, id, reader }) => {
      const { whole, byReader } = tensorDiffs.get(id)!;
      return [name, place(reader === null ? whole : byReader[reader], graph.values[id]!.shape)];
    }),
  );
  const ofParameters = graph.parameters.map(({ shape }, i) =>
    place(parameterDiffs.get(parameters[i]!), shape),
  );
  return {
    ...common,
    program: { ...program, outputs: results },
    recipes,
    history: [],
    averages: [],
    diffs: { parameters: ofParameters, blobs },
  };
}

// The net's own outputs, losses that a layer reads, and other requested values.
function outputsOf(written: Graph, graph: Graph, more: readonly string[]): Map<string, ValueId> {
  const named = new Map(written.outputs.map((id, i) => [written.values[id]!.blob, graph.outputs[i]!]));
  const losses = [...graph.lossWeights.keys()].filter((id) => !graph.outputs.includes(id));
  for (const id of losses) named.set(graph.values[id]!.blob, id);
  const resolve = identitySources(written);
  for (const name of more) named.set(name, resolve(resolveOutput(written, name)));
  return named;
}

// In Caffe, in-place layers share one diff, which in the end is that of the first one. A split's copy has its reader's part.
function diffSource(written: Graph, name: string): { id: ValueId; reader: number | null } {
  const resolve = identitySources(written);
  const first = written.values.findIndex(({ blob }) => blob === name);
  if (first >= 0) return { id: resolve(first), reader: null };
  const reader = /_split_(\d+)$/.exec(name)?.[1];
  return {
    id: resolve(resolveOutput(written, name)),
    reader: reader === undefined ? null : Number(reader),
  };
}

function parametersOf(graph: Graph, recipes: readonly ParameterRecipe[]): ProgramParameterId[] {
  const found = new Map(
    recipes.flatMap((recipe, id) => (recipe.kind === 'blob' ? [[recipe.parameter, id] as const] : [])),
  );
  return graph.parameters.map((_, id) => found.get(id)!);
}

function withUpdate(
  graph: Graph,
  lowered: { program: Program; recipes: readonly ParameterRecipe[] },
  parameters: readonly ProgramParameterId[],
  diffs: ReadonlyMap<ProgramParameterId, TensorId>,
  rule: CompleteUpdateRule,
  losses: readonly TensorId[],
  { history = [], ...options }: LowerTrainingOptions,
) {
  const slots = Array.from({ length: historySlots(rule) }, (_, slot) => slot);
  const updated = graph.parameters.map(({ lrMult, decayMult }, i) => ({
    parameter: parameters[i]!,
    lrMult,
    decayMult,
    hasHistory: slots.some((slot) => history[slot * parameters.length + i]?.some((value) => value !== 0)),
  }));
  return appendUpdate(lowered, diffs, updated, rule, losses, {
    checksDiffs: isNarrow(options.precision),
  });
}

/**
 * Keeps the values at which blocks begin and end: sums of branches, values with several readers, outputs, and everything
 * after the last sum, which is needed at once. The values between are recomputed block by block, as in Chen et al.,
 * "Training Deep Nets with Sublinear Memory Cost", 2016, section 4.1. A net without branches keeps all.
 */
function keepsBlockEnds({ operations, outputs }: Program): (tensor: TensorId) => boolean {
  const kept = new Set(outputs);
  const seen = new Set<TensorId>();
  const isSum = ({ kind, inputs }: ProgramOperation) =>
    kind === 'eltwise' || (kind === 'batchNorm' && inputs.length > 1);
  const lastSum = operations.findLastIndex(isSum);
  for (const [index, operation] of operations.entries()) {
    for (const id of new Set(operation.inputs)) {
      if (seen.has(id)) kept.add(id);
      seen.add(id);
    }
    // A function in JavaScript may count or draw, so it is not called again.
    const isKept = isSum(operation) || operation.kind === 'hostFunction' || index > lastSum;
    if (isKept) for (const id of operation.outputs) kept.add(id);
  }
  return (tensor) => kept.has(tensor);
}

/**
 * Inserts the mean of all processes' diffs before the update, as Caffe's P2PSync does. Every process then makes the same
 * update. BatchNorm's batch statistics remain each process's own, as in Caffe, or are those of all batches together.
 */
export function shareBetweenProcesses(
  program: Program,
  { synchronisedBatchNorm = false }: Pick<LowerTrainingOptions, 'synchronisedBatchNorm'>,
): Program {
  const tensors = [...program.tensors];
  const operations = program.operations.flatMap((operation): ProgramOperation[] => {
    if (operation.kind === 'batchNorm')
      return [{ ...operation, synchronised: synchronisedBatchNorm && operation.statistics === 'batch' }];
    if (operation.kind !== 'update') return [operation];
    const [schedule, ...all] = operation.inputs as [TensorId, ...TensorId[]];
    // The losses are averaged too: if a process has no finite loss, no process updates.
    const shared = all.filter((id) => id >= 0);
    const means = new Map(shared.map((id) => [id, tensors.push({ ...tensors[id]! }) - 1]));
    return [
      {
        kind: 'allMean',
        layer: 'all processes',
        inputs: shared,
        outputs: shared.map((id) => means.get(id)!),
      },
      { ...operation, inputs: [schedule, ...all.map((id) => means.get(id) ?? id)] },
    ];
  });
  return { ...program, tensors, operations };
}
