/**
 * A convolution whose sides are padded differently makes more pixels than requested, and a crop selects the valid ones
 * (ts/layers/uneven-pads.ts). Operations that treat all pixels of a channel alike give the same result before and after a
 * crop. Before it, the convolution includes them.
 */
import type { Graph, Node, ValueId } from '../graph/graph.ts';
import type { Operation } from '../layers/operation.ts';
import { isPrivate, type Uses, usesOf } from './rewrite.ts';

export function moveCrops(graph: Graph): Graph {
  const uses = usesOf(graph);
  const values = [...graph.values];
  const nodes = new Set<Node>();
  /** By the value that each node makes. */
  const crops = new Map<ValueId, Node>();
  for (const node of graph.nodes) {
    const [read] = node.inputs;
    const crop = crops.get(read ?? -1);
    if (crop === undefined || !isAlike(node) || !isPrivate(uses, read!)) {
      nodes.add(node);
      if (isOfConvolution(node, uses, graph)) crops.set(node.outputs[0]!, node);
      continue;
    }
    const [source, made] = [crop.inputs[0]!, node.outputs[0]!];
    const whole = values.push({ ...values[made]!, shape: values[source]!.shape, isPart: true }) - 1;
    const moved = { ...crop, inputs: [whole], outputs: [made] };
    nodes.delete(crop);
    nodes.add({ ...node, inputs: [source], outputs: [whole] });
    nodes.add(moved);
    crops.set(made, moved);
  }
  return { ...graph, values, nodes: [...nodes] };
}

const ALIKE: readonly Operation['kind'][] = ['affine', 'relu', 'clip', 'prelu'];

const isAlike = ({ operation: { kind }, inputs }: Node) => ALIKE.includes(kind) && inputs.length === 1;

/** Whether it crops pixels, not channels, of a convolution's result that has no other reader. */
function isOfConvolution({ operation, inputs, outputs }: Node, uses: Uses, { values }: Graph): boolean {
  if (operation.kind !== 'crop' || operation.offset.length !== 4) return false;
  const [source, made] = [inputs[0]!, outputs[0]!];
  const isWhole = [0, 1].every((axis) => values[source]!.shape[axis] === values[made]!.shape[axis]);
  return isWhole && isPrivate(uses, source) && uses.maker.get(source)?.operation.kind === 'convolution';
}
