/** Graph → Program: values become tensors, affine chains become parameters that pack-weights.ts computes. */

import { elementCount } from '../base/shape.ts';
import type { Graph, Selection } from '../graph/graph.ts';
import type { HostFunction } from '../layers/javascript.ts';
import type { AffineStep, Operation, ParameterId } from '../layers/operation.ts';
import type {
  Program,
  ProgramOperation,
  ProgramParameter,
  ProgramParameterId,
  TensorId,
} from '../operations/program.ts';

/** How a program's parameter is computed from the net's blobs. */
export type ParameterRecipe =
  | { readonly kind: 'blob'; readonly parameter: ParameterId }
  | { readonly kind: 'folded-weights'; readonly weights: ParameterId; readonly affine: readonly AffineStep[] }
  | {
      readonly kind: 'folded-bias';
      readonly bias: ParameterId | null;
      readonly affine: readonly AffineStep[];
      readonly channels: number;
    }
  | { readonly kind: 'affine-scale'; readonly affine: readonly AffineStep[]; readonly channels: number }
  /** A file with a BlobProto that the net names, with as many values: in the working folder, or beside the net's file. */
  | { readonly kind: 'file'; readonly file: string; readonly net: string; readonly layer: string }
  /** A single value of 1. */
  | { readonly kind: 'one' }
  /** The state that training keeps in addition to the net's blobs; see append-update.ts. */
  | { readonly kind: 'zeros' };

type Filtering = Extract<Operation, { kind: 'convolution' | 'deconvolution' }>;

/**
 * Filters by the window that the operation moves over two axes. The other axes of their blob become channels or 1: of convolutions
 * over other numbers of axes, and of a DeformableConvolution's taps.
 */
function filterShape(graph: Graph, { weights, kernel }: Filtering): readonly number[] {
  const { shape } = graph.parameters[weights]!;
  const [first] = shape as [number];
  const values = elementCount(shape);
  return [first, values / (first * kernel[0] * kernel[1]), ...kernel];
}

/** Whether an operation draws random numbers in each pass. */
const readsPass = (operation: Operation): boolean =>
  operation.kind === 'dropout' || (operation.kind === 'stochasticPooling' && operation.draws);

/**
 * Lowers a graph; recipes[i] tells how to make program.parameters[i].
 * @param options.training Every blob of the net is a separate parameter, and nothing is folded: BatchNorm and Scale
 * stay operations, and learnable parameters are mutable. For a graph as written, without the folding passes. Default false.
 * @param options.seed The seed of Dropout, 32 bits. Default 1.
 * @param options.rank The rank of this process in a training with several, each of which draws its own numbers. Default 0.
 * @returns `selections`: those whose items are read. Their indices are the program's inputs after the graph's own.
 * `functions`: the functions in JavaScript, by their indices in the program. `pass`: the program's last input, [iteration,
 * pass of the iteration], for Dropout; null: no operation reads it.
 */
export function lower(
  graph: Graph,
  { training = false, seed = 1, rank = 0 } = {},
): {
  program: Program;
  recipes: ParameterRecipe[];
  pass: TensorId | null;
  functions: readonly HostFunction[];
  selections: readonly Selection[];
} {
  const parameters: ProgramParameter[] = [];
  const recipes: ParameterRecipe[] = [];
  const add = (
    recipe: ParameterRecipe,
    name: string,
    shape: readonly number[],
    mutable = false,
  ): ProgramParameterId => {
    recipes.push(recipe);
    return parameters.push({ name, shape, mutable }) - 1;
  };
  const plain = new Map<ParameterId, ProgramParameterId>();
  const blob = (id: ParameterId, as?: readonly number[]): ProgramParameterId => {
    const { layer, index, shape, mutable, lrMult } = graph.parameters[id]!;
    if (!plain.has(id)) {
      const changes = mutable || (training && lrMult !== 0);
      plain.set(id, add({ kind: 'blob', parameter: id }, `${layer}/${index}`, as ?? shape, changes));
    }
    return plain.get(id)!;
  };
  /** For layers that draw random numbers. */
  let streams = 0;
  const drawn = () => ({ seed: seed >>> 0, stream: streams++, rank });
  const memories = new Map<string, ProgramParameterId>();
  const memory = (name: string, of: readonly number[]): ProgramParameterId => {
    if (!memories.has(name)) memories.set(name, add({ kind: 'zeros' }, name, of, true));
    return memories.get(name)!;
  };
  const functions: HostFunction[] = [];
  const filters = (operation: Filtering) => blob(operation.weights, filterShape(graph, operation));
  const maybe = (id: ParameterId | null) => (id === null ? null : blob(id));

  const batchNorm = (
    from: Extract<AffineStep, { kind: 'batchNorm' }>,
    movingAverageFraction: number,
    statistics: 'batch' | 'global',
    layer: string,
  ) => ({
    kind: 'batchNorm' as const,
    mean: blob(from.mean),
    variance: blob(from.variance),
    factor: from.factor === null ? add({ kind: 'one' }, `${layer}/factor`, [1]) : blob(from.factor),
    eps: from.eps,
    movingAverageFraction,
    statistics,
    update: statistics === 'batch',
    synchronised: false,
    scale: null,
    bias: null,
    relu: null,
  });

  /**
   * @param shape The shape of the first input.
   * @param made The shape of the first output.
   */
  const convert = (
    operation: Operation,
    layer: string,
    shape: readonly number[],
    made: readonly number[],
  ) => {
    switch (operation.kind) {
      case 'convolution': {
        const { affine, ...attributes } = operation;
        const rest = { ...attributes, slopes: maybe(operation.slopes) };
        if (affine.length === 0) return { ...rest, weights: filters(operation), bias: maybe(operation.bias) };
        const weights = filterShape(graph, operation);
        const channels = weights[0]!;
        return {
          ...rest,
          weights: add(
            { kind: 'folded-weights', weights: operation.weights, affine },
            `${layer}/weights`,
            weights,
          ),
          bias: add({ kind: 'folded-bias', bias: operation.bias, affine, channels }, `${layer}/bias`, [
            channels,
          ]),
        };
      }
      case 'affine': {
        const { affine, relu } = operation;
        const channels = shape[1] ?? 1;
        const around = {
          outer: shape[0]!,
          channels,
          inner: elementCount(shape.slice(2)),
        };
        const [step] = affine;
        if (training && step?.kind === 'batchNorm') return batchNorm(step, 0, 'global', layer);
        if (training && step?.kind === 'scale')
          return {
            kind: 'scale' as const,
            operand: 'none' as const,
            scale: maybe(step.gamma),
            bias: maybe(step.beta),
            relu,
            ...around,
          };
        return {
          kind: 'scale' as const,
          operand: 'none' as const,
          relu,
          scale: add({ kind: 'affine-scale', affine, channels }, `${layer}/scale`, [channels]),
          bias: add({ kind: 'folded-bias', bias: null, affine, channels }, `${layer}/bias`, [channels]),
          ...around,
        };
      }
      case 'innerProduct':
        return {
          ...operation,
          weights: blob(operation.weights),
          bias: maybe(operation.bias),
          slopes: maybe(operation.slopes),
        };
      case 'scale':
        return { ...operation, scale: maybe(operation.scale), bias: maybe(operation.bias), relu: null };
      case 'batchNorm':
        return batchNorm(operation, operation.movingAverageFraction, 'batch', layer);
      case 'prelu':
        return { ...operation, slope: blob(operation.slope) };
      case 'dropout':
        return { ...operation, ...drawn() };
      case 'stochasticPooling':
        return { ...operation, ...(operation.draws ? drawn() : { seed: 0, stream: 0, rank: 0 }) };
      case 'file': {
        const { file, net } = operation;
        return {
          kind: 'parameter' as const,
          blob: add({ kind: 'file', file, net, layer }, `${layer} ${file}`, made),
        };
      }
      case 'hostFunction':
        return { kind: 'hostFunction' as const, index: functions.push(operation.function) - 1 };
      case 'recall':
        return { kind: 'parameter' as const, blob: memory(operation.memory, made) };
      case 'remember': {
        const [first, second] = operation.memories;
        return {
          kind: 'remember' as const,
          first: memory(first!, shape),
          second: second === undefined ? null : memory(second, shape),
        };
      }
      case 'deconvolution':
        return { ...operation, weights: filters(operation), bias: maybe(operation.bias) };
      case 'embed':
        return { ...operation, weights: blob(operation.weights), bias: maybe(operation.bias) };
      case 'normalize':
        return { ...operation, scale: blob(operation.scale) };
      case 'bn':
        return {
          ...operation,
          scale: blob(operation.scale),
          shift: blob(operation.shift),
          mean: maybe(operation.mean),
          variance: maybe(operation.variance),
        };
      case 'parameter':
        return { ...operation, blob: blob(operation.blob) };
      case 'identity':
        return { kind: 'reshape' as const };
      default:
        return operation;
    }
  };
  const operations = graph.nodes.map(
    (node): ProgramOperation => ({
      ...convert(
        node.operation,
        node.name,
        graph.values[node.inputs[0]!]?.shape ?? [],
        graph.values[node.outputs[0]!]!.shape,
      ),
      layer: node.name,
      inputs: readsPass(node.operation) ? [...node.inputs, graph.values.length] : node.inputs,
      outputs: node.outputs,
      ...(node.propagateDown === undefined ? {} : { propagateDown: node.propagateDown }),
    }),
  );
  // A snapshot has blobs that nothing reads, too: DenseBlock's count.
  if (training) for (const id of graph.parameters.keys()) blob(id);
  const tensors = graph.values.map(({ blob: name, shape }) => ({ name, shape }));
  const pass = streams === 0 ? null : tensors.push({ name: 'pass', shape: [2] }) - 1;
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const selections = graph.selections.filter(({ indices }) => read.has(indices));
  return {
    program: {
      name: graph.name,
      tensors,
      parameters,
      operations,
      inputs: [
        ...graph.inputs,
        ...selections.map(({ indices }) => indices),
        ...(pass === null ? [] : [pass]),
      ],
      outputs: graph.outputs,
    },
    recipes,
    pass,
    functions,
    selections,
  };
}
