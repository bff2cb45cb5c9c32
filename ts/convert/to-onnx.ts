/** Graph → ONNX, layer by layer as written: one node for each layer if ONNX has such a node. Blobs keep their names. */
import type { Graph, Node, ValueId } from '../graph/graph.ts';
import { isActivated, type Operation } from '../layers/operation.ts';
import { usesOf } from '../passes/rewrite.ts';
import { type BlobOf, OnnxWriter } from './layer-writer.ts';
import { Names } from './names.ts';
import type { OnnxModel, OnnxValue } from './onnx-proto.ts';
import { scaleAfter } from './scale-after.ts';
import { operators } from './to-onnx-operators.ts';

/** Opset 17: onnxruntime and the browsers' runtimes have supported it since 2022. */
const OPSET = 17;

/**
 * Describes a graph (from graphFromCaffe, or after passes that do not fuse affine steps) as an ONNX model.
 * Inputs and outputs have their blobs' names; a value that a later in-place layer overwrites is `blob@layer`.
 * The first dimension is `N` unless a layer fixes it.
 * @param blobOf The weights, which are read when the model is written.
 * @throws GraphError `convert/onnx` naming the layer that ONNX cannot express exactly, and why
 */
export function toOnnx(graph: Graph, blobOf: BlobOf): OnnxModel {
  const names = valueNames(graph);
  const writer = new OnnxWriter(graph, names, blobOf);
  const uses = usesOf(graph);
  const merged = new Set<Node>();
  const selected = selectedValues(graph);
  for (const node of graph.nodes) {
    if (merged.has(node)) continue;
    if ('relu' in node.operation && isActivated(node.operation))
      writer
        .layer(node, null)
        .fail('a pass fused the following activation into it; export the graph as graphFromCaffe gives it');
    const scale = scaleAfter(uses, node);
    if (scale !== null) merged.add(scale);
    const layer = writer.layer(node, scale);
    if (node.inputs.some((id) => selected.has(id)) && !isItemByItem(graph, node))
      layer.fail(
        'it follows a Filter and is not computed item by item, so the written net would be correct for only one number of items; end the net before it (outputs)',
      );
    operators[node.operation.kind](layer);
  }
  const batch = freeBatch(graph);
  const describe = (id: ValueId): OnnxValue => {
    const { shape } = graph.values[id]!;
    const first = selected.get(id) ?? (batch === null ? null : 'N');
    const isKnown = first === null || shape.length === 0;
    return { name: names[id]!, type: 'float32', shape: isKnown ? shape : [first, ...shape.slice(1)] };
  };
  return {
    producer: 'resnode',
    opset: OPSET,
    name: graph.name || 'net',
    nodes: writer.nodes,
    initializers: writer.initializers,
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
  };
}

// An input has its blob's name, and so has the last value of a blob, as in Caffe's net.blobs.
function valueNames(graph: Graph): string[] {
  const inputs = new Set(graph.inputs.map((id) => graph.values[id]!.blob));
  const last = new Map(
    [...graph.blobs].flatMap(([name, id]): [number, string][] => (inputs.has(name) ? [] : [[id, name]])),
  );
  for (const id of graph.inputs) last.set(id, graph.values[id]!.blob);
  const taken = new Names(graph.blobs.keys());
  return graph.values.map(({ blob, layer }, id) => last.get(id) ?? taken.take(`${blob}@${layer}`));
}

/** Values with one item for each item that a Filter selects, with that layer's name. */
function selectedValues(graph: Graph): Map<ValueId, string> {
  const found = new Map<ValueId, string>(graph.selections.map(({ indices, layer }) => [indices, layer]));
  for (const { inputs, outputs } of graph.nodes) {
    const layer = inputs.map((id) => found.get(id)).find((each) => each !== undefined);
    if (layer !== undefined) for (const id of outputs) found.set(id, layer);
  }
  return found;
}

/** Layers whose ONNX nodes work for any number of items. */
const ITEM_BY_ITEM: readonly Operation['kind'][] = [
  ...(['convolution', 'deconvolution', 'affine', 'scale', 'pooling', 'lrn', 'identity'] as const),
  ...(['relu', 'elu', 'sigmoid', 'tanh', 'absval', 'power', 'bnll', 'clip', 'exp', 'log'] as const),
  ...(['threshold', 'swish', 'mish', 'hardSwish', 'prelu', 'softmax', 'eltwise', 'batchReindex'] as const),
];

function isItemByItem({ values }: Graph, { operation, inputs, outputs }: Node): boolean {
  const { kind } = operation;
  if (kind === 'concat' || kind === 'slice' || kind === 'innerProduct') return operation.axis > 0;
  if (kind === 'reshape') return values[inputs[0]!]!.shape[0] === values[outputs[0]!]!.shape[0];
  return ITEM_BY_ITEM.includes(kind);
}

/** Layers that make rows independently of the batch, or whose nodes fit only one batch size. */
const OWN_ROWS = ['parameter', 'priorBoxes', 'detectionOutput', 'proposal'];

function freeBatch(graph: Graph): number | null {
  if (graph.nodes.some(({ operation }) => OWN_ROWS.includes(operation.kind))) return null;
  const batch = graph.values[graph.inputs[0] ?? -1]?.shape[0];
  return batch !== undefined && graph.values.every(({ shape }) => shape[0] === batch) ? batch : null;
}
