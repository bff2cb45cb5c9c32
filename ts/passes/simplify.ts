/**
 * The passes that remove nodes: those that compute nothing, those that nothing needs, and those that a convolution can
 * include.
 */
import type { Graph, Node, ValueId } from '../graph/graph.ts';
import { isActivated, type Operation } from '../layers/operation.ts';
import { isPrivate, mergePairs } from './rewrite.ts';

/** Maps each value that an identity makes to the value that it was made from. */
export function identitySources(graph: Graph): (id: ValueId) => ValueId {
  const source = new Map<ValueId, ValueId>();
  const resolve = (id: ValueId) => source.get(id) ?? id;
  for (const { operation, inputs, outputs } of graph.nodes)
    if (operation.kind === 'identity') for (const id of outputs) source.set(id, resolve(inputs[0]!));
  return resolve;
}

/** Dropout at inference and Split compute nothing, so their readers read their input instead. */
export function dropIdentity(graph: Graph): Graph {
  const resolve = identitySources(graph);
  const nodes = graph.nodes
    .filter(({ operation }) => operation.kind !== 'identity')
    .map((node) => ({ ...node, inputs: node.inputs.map(resolve) }));
  const blobs = new Map([...graph.blobs].map(([name, id]) => [name, resolve(id)]));
  const lossWeights = new Map([...graph.lossWeights].map(([id, weight]) => [resolve(id), weight]));
  return { ...graph, nodes, blobs, lossWeights, outputs: graph.outputs.map(resolve) };
}

/** Drops nodes that no output needs. BatchNorm with batch statistics stays: it updates its running sums. */
export function removeUnused(graph: Graph): Graph {
  const needed = new Set(graph.outputs);
  const nodes = [];
  for (const node of [...graph.nodes].reverse()) {
    if (node.operation.kind !== 'batchNorm' && !node.outputs.some((id) => needed.has(id))) continue;
    for (const id of node.inputs) needed.add(id);
    nodes.push(node);
  }
  return { ...graph, nodes: nodes.reverse() };
}

/** BatchNorm with global statistics and Scale move into the convolution, or the affine node, before them. */
export function foldAffine(graph: Graph): Graph {
  return mergePairs(graph, (node, uses) => {
    if (node.operation.kind !== 'affine') return null;
    const before = uses.maker.get(node.inputs[0]!);
    if (before === undefined || !isPrivate(uses, node.inputs[0]!)) return null;
    const { operation } = before;
    if (
      (operation.kind !== 'convolution' && operation.kind !== 'affine') ||
      isActivated(operation) ||
      before.inputs.length > 1
    )
      return null;
    return {
      absorbed: before,
      merged: {
        ...before,
        operation: {
          ...operation,
          affine: [...operation.affine, ...node.operation.affine],
          relu: node.operation.relu,
        },
        outputs: node.outputs,
        layers: [...before.layers, ...node.layers],
      },
    };
  });
}

/** A sum of two becomes the last step of the convolution that ends one of its branches (the later one). */
export function fuseResidual(graph: Graph): Graph {
  const order = new Map(graph.nodes.flatMap(({ outputs }, i) => outputs.map((id) => [id, i] as const)));
  return mergePairs(graph, (node, uses) => {
    const { operation } = node;
    if (operation.kind !== 'eltwise' || operation.operation !== 'sum' || node.inputs.length !== 2)
      return null;
    if (operation.coefficients.some((coefficient) => coefficient !== 1) || node.inputs[0] === node.inputs[1])
      return null;
    const ends = node.inputs.filter((id) => {
      const maker = uses.maker.get(id);
      return (
        maker?.operation.kind === 'convolution' &&
        !isActivated(maker.operation) &&
        maker.inputs.length === 1 &&
        isPrivate(uses, id)
      );
    });
    const end = ends.sort((a, b) => order.get(a)! - order.get(b)!).at(-1);
    if (end === undefined) return null;
    const convolution = uses.maker.get(end)!;
    const residual = node.inputs.find((id) => id !== end)!;
    if (convolution.operation.kind !== 'convolution') return null;
    return {
      absorbed: convolution,
      merged: {
        ...convolution,
        operation: { ...convolution.operation, relu: operation.relu },
        inputs: [...convolution.inputs, residual],
        outputs: node.outputs,
        layers: [...convolution.layers, ...node.layers],
      },
    };
  });
}

/** ReLU becomes the last step of the operation before it. */
export function fuseRelu(graph: Graph): Graph {
  return mergePairs(graph, (node, uses) => {
    if (node.operation.kind !== 'relu') return null;
    const before = uses.maker.get(node.inputs[0]!);
    if (before === undefined || !isPrivate(uses, node.inputs[0]!)) return null;
    const { operation } = before;
    if (!('relu' in operation) || isActivated(operation)) return null;
    const relu = { negativeSlope: node.operation.negativeSlope };
    return {
      absorbed: before,
      merged: {
        ...before,
        operation: { ...operation, relu },
        outputs: node.outputs,
        layers: [...before.layers, ...node.layers],
      },
    };
  });
}

type Fusing = Extract<Operation, { kind: 'convolution' | 'innerProduct' }>;

/** Clip from 0 on, as ReLU6 is, and PReLU become the last step of a convolution or an inner product. */
export function fuseActivation(graph: Graph): Graph {
  return mergePairs(graph, (node, uses) => {
    const before = uses.maker.get(node.inputs[0]!);
    if (before === undefined || !isPrivate(uses, node.inputs[0]!)) return null;
    const { operation } = before;
    if (operation.kind !== 'convolution' && operation.kind !== 'innerProduct') return null;
    if (isActivated(operation)) return null;
    const activation = activationOf(node, operation);
    if (activation === null) return null;
    return {
      absorbed: before,
      merged: {
        ...before,
        operation: { ...operation, ...activation },
        outputs: node.outputs,
        layers: [...before.layers, ...node.layers],
      },
    };
  });
}

/** Null: not one that the operation takes. */
function activationOf({ operation }: Node, before: Fusing): Pick<Partial<Fusing>, 'clip' | 'slopes'> | null {
  if (operation.kind === 'clip')
    return operation.min === 0 && operation.max > 0 ? { clip: operation.max } : null;
  if (operation.kind !== 'prelu') return null;
  // Its slopes are those of axis 1, which is not that of all inner products' outputs.
  const isOfOutputs = before.kind === 'convolution' || before.axis === 1 || operation.channelShared;
  return isOfOutputs ? { slopes: operation.slope } : null;
}
