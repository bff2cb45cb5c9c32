/** Graph → Program: values become tensors, affine chains become parameters that pack-weights.ts computes. */

import { elementCount } from '../base/shape.ts';
import type { Graph } from '../graph/graph.ts';
import type { AffineStep, Operation, ParameterId } from '../layers/operation.ts';
import type {
  Program,
  ProgramOperation,
  ProgramParameter,
  ProgramParameterId,
  TensorId,
} from '../operations/program.ts';

/** How a program parameter comes from the net's blobs. */
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
  /** What training keeps beside the net's blobs; see append-update.ts. */
  | { readonly kind: 'zeros' };

/**
 * Lowers a graph; recipes[i] says how to make program.parameters[i].
 * @param options.training Every blob of the net is a parameter of its own and nothing is folded: BatchNorm and Scale
 * stay operations, what learns is mutable. For a graph as written, without the passes that fold. Default false.
 * @param options.seed Of what Dropout draws, 32 bits. Default 1.
 * @param options.rank Of the processes that train together: each draws for itself. Default 0.
 * @returns `pass`: the program's last input, [iteration, pass of the iteration], which Dropout draws by; null: none does.
 */
export function lower(
  graph: Graph,
  { training = false, seed = 1, rank = 0 } = {},
): { program: Program; recipes: ParameterRecipe[]; pass: TensorId | null } {
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
  const blob = (id: ParameterId): ProgramParameterId => {
    const { layer, index, shape, mutable, lrMult } = graph.parameters[id]!;
    if (!plain.has(id)) {
      const changes = mutable || (training && lrMult !== 0);
      plain.set(id, add({ kind: 'blob', parameter: id }, `${layer}/${index}`, shape, changes));
    }
    return plain.get(id)!;
  };
  let dropouts = 0;
  const maybe = (id: ParameterId | null) => (id === null ? null : blob(id));

  const batchNorm = (
    from: Pick<
      Extract<Operation, { kind: 'batchNorm' }>,
      'mean' | 'variance' | 'factor' | 'eps' | 'movingAverageFraction'
    >,
    statistics: 'batch' | 'global',
  ) => ({
    kind: 'batchNorm' as const,
    mean: blob(from.mean),
    variance: blob(from.variance),
    factor: blob(from.factor),
    eps: from.eps,
    movingAverageFraction: from.movingAverageFraction,
    statistics,
    update: statistics === 'batch',
    synchronised: false,
    scale: null,
    bias: null,
    relu: null,
  });

  const convert = (operation: Operation, layer: string, shape: readonly number[]) => {
    switch (operation.kind) {
      case 'convolution': {
        const { affine, ...rest } = operation;
        if (affine.length === 0)
          return { ...rest, weights: blob(operation.weights), bias: maybe(operation.bias) };
        const { shape: weights } = graph.parameters[operation.weights]!;
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
        if (training && step?.kind === 'batchNorm')
          return batchNorm({ ...step, movingAverageFraction: 0 }, 'global');
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
        return { ...operation, weights: blob(operation.weights), bias: maybe(operation.bias) };
      case 'scale':
        return { ...operation, scale: maybe(operation.scale), bias: maybe(operation.bias), relu: null };
      case 'batchNorm':
        return batchNorm(operation, 'batch');
      case 'prelu':
        return { ...operation, slope: blob(operation.slope) };
      case 'dropout':
        return { ...operation, seed: seed >>> 0, stream: dropouts++, rank };
      case 'identity':
        return { kind: 'reshape' as const };
      default:
        return operation;
    }
  };
  const operations = graph.nodes.map(
    (node): ProgramOperation => ({
      ...convert(node.operation, node.name, graph.values[node.inputs[0]!]!.shape),
      layer: node.name,
      inputs: node.operation.kind === 'dropout' ? [...node.inputs, graph.values.length] : node.inputs,
      outputs: node.outputs,
      ...(node.propagateDown === undefined ? {} : { propagateDown: node.propagateDown }),
    }),
  );
  const tensors = graph.values.map(({ blob: name, shape }) => ({ name, shape }));
  const pass = dropouts === 0 ? null : tensors.push({ name: 'pass', shape: [2] }) - 1;
  return {
    program: {
      name: graph.name,
      tensors,
      parameters,
      operations,
      inputs: pass === null ? graph.inputs : [...graph.inputs, pass],
      outputs: graph.outputs,
    },
    recipes,
    pass,
  };
}
