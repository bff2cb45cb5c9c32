/**
 * In the published ResNets the last blob of a stage is read only by 1×1 convolutions of stride 2, which skip three
 * pixels in four (design decision 4). The stride moves up to where those pixels would be computed: exact, and a
 * tenth of ResNet-50's arithmetic less.
 */
import type { Graph, Node, Pair, Value, ValueId } from '../graph/graph.ts';
import { isPrivate, type Uses, usesOf } from './rewrite.ts';

export function moveStrides(graph: Graph): Graph {
  let current = graph;
  let uses = usesOf(graph);
  for (let id = 0; id < graph.values.length; id++) {
    const stride = skippedBy(current, uses, id);
    if (stride === null) continue;
    current = subsample(current, id, stride);
    uses = usesOf(current);
  }
  return current;
}

/** The stride that all readers share, where they skip pixels of a value that a convolution makes. */
function skippedBy(graph: Graph, { maker, readers }: Uses, id: ValueId): Pair | null {
  const reading = readers.get(id) ?? [];
  if (graph.outputs.includes(id) || maker.get(id)?.operation.kind !== 'convolution' || reading.length === 0)
    return null;
  let shared: Pair | null = null;
  for (const { operation, inputs } of reading) {
    if (operation.kind !== 'convolution' || inputs[0] !== id || inputs[1] === id) return null;
    if ([...operation.kernel].some((size) => size !== 1) || [...operation.pad].some((size) => size !== 0))
      return null;
    const { stride } = operation;
    if (
      stride[0] * stride[1] === 1 ||
      (shared !== null && (shared[0] !== stride[0] || shared[1] !== stride[1]))
    )
      return null;
    shared = stride;
  }
  return shared;
}

/** Makes `id` hold only the pixels that its readers use; their stride becomes 1. */
function subsample(graph: Graph, id: ValueId, stride: Pair): Graph {
  const values: Value[] = [...graph.values];
  let nodes: Node[] = graph.nodes.map((node) =>
    node.operation.kind === 'convolution' && node.inputs[0] === id
      ? { ...node, operation: { ...node.operation, stride: [1, 1] as const } }
      : node,
  );
  const shrink = (shape: readonly number[]) => [
    shape[0]!,
    shape[1]!,
    Math.ceil(shape[2]! / stride[0]),
    Math.ceil(shape[3]! / stride[1]),
  ];
  const replace = (old: Node, next: Node) => {
    nodes = nodes.map((node) => (node === old ? next : node));
  };

  const push = (target: ValueId): void => {
    const node = usesOf({ nodes }).maker.get(target)!;
    const { operation } = node;
    if (operation.kind !== 'convolution') return;
    values[target] = { ...values[target]!, shape: shrink(values[target]!.shape) };
    let inputs = [...node.inputs];
    const pointwise =
      [...operation.kernel, ...operation.stride].every((size) => size === 1) &&
      [...operation.pad].every((size) => size === 0);
    const above = canPush(inputs[0]!);
    const moved: Node =
      pointwise && above
        ? node
        : {
            ...node,
            operation: {
              ...operation,
              stride: [operation.stride[0] * stride[0], operation.stride[1] * stride[1]],
            },
          };
    if (pointwise && above) push(inputs[0]!);
    const residual = inputs[1];
    if (residual !== undefined) {
      if (canPush(residual)) push(residual);
      else inputs = [inputs[0]!, insertPick(residual, usesOf({ nodes }).maker.get(target)!)];
    }
    replace(usesOf({ nodes }).maker.get(target)!, { ...moved, inputs });
  };
  const canPush = (source: ValueId) => {
    const uses = usesOf({ nodes });
    return uses.maker.get(source)?.operation.kind === 'convolution' && isPrivate(graph, uses, source);
  };
  // A 1×1 maximum is a copy of the pixels that the stride meets.
  const insertPick = (source: ValueId, before: Node): ValueId => {
    const { blob, shape } = values[source]!;
    const name = `${blob}_subsample`;
    values.push({ blob: name, layer: name, shape: shrink(shape) });
    const pick: Node = {
      name,
      type: 'Pooling',
      position: undefined,
      layers: [name],
      operation: { kind: 'pooling', method: 'max', kernel: [1, 1], stride, pad: [0, 0] },
      inputs: [source],
      outputs: [values.length - 1],
    };
    nodes.splice(nodes.indexOf(before), 0, pick);
    return values.length - 1;
  };
  push(id);
  return { ...graph, values, nodes };
}
