/** Graph → Program: values become tensors, affine chains become parameters that pack-weights.ts computes. */
import type { AffineStep, Graph, Operation, ParameterId } from '../graph/graph.ts';
import type { Program, ProgramOperation, ProgramParameter, ProgramParameterId } from './program.ts';

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
  | { readonly kind: 'affine-scale'; readonly affine: readonly AffineStep[]; readonly channels: number };

/** Lowers a graph; recipes[i] says how to make program.parameters[i]. */
export function lower(graph: Graph): { program: Program; recipes: ParameterRecipe[] } {
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
    const { layer, index, shape, mutable } = graph.parameters[id]!;
    if (!plain.has(id))
      plain.set(id, add({ kind: 'blob', parameter: id }, `${layer}/${index}`, shape, mutable));
    return plain.get(id)!;
  };
  const maybe = (id: ParameterId | null) => (id === null ? null : blob(id));

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
        return {
          kind: 'scale' as const,
          operand: 'none' as const,
          relu,
          scale: add({ kind: 'affine-scale', affine, channels }, `${layer}/scale`, [channels]),
          bias: add({ kind: 'folded-bias', bias: null, affine, channels }, `${layer}/bias`, [channels]),
          outer: shape[0]!,
          channels,
          inner: shape.slice(2).reduce((product, dim) => product * dim, 1),
        };
      }
      case 'innerProduct':
        return { ...operation, weights: blob(operation.weights), bias: maybe(operation.bias) };
      case 'scale':
        return { ...operation, scale: maybe(operation.scale), bias: maybe(operation.bias), relu: null };
      case 'batchNorm':
        return {
          ...operation,
          mean: blob(operation.mean),
          variance: blob(operation.variance),
          factor: blob(operation.factor),
          statistics: 'batch' as const,
          update: true,
          scale: null,
          bias: null,
          relu: null,
        };
      case 'prelu':
        return { ...operation, slope: blob(operation.slope) };
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
      inputs: node.inputs,
      outputs: node.outputs,
    }),
  );
  const tensors = graph.values.map(({ blob: name, shape }) => ({ name, shape }));
  return {
    program: {
      name: graph.name,
      tensors,
      parameters,
      operations,
      inputs: graph.inputs,
      outputs: graph.outputs,
    },
    recipes,
  };
}
