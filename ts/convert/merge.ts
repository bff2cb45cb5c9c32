/** Merges BatchNorm and Scale into convolutions, and gives files (a "deploy" pair) that any Caffe reads. */
import { fields, required, signature } from '../base/options.ts';
import { type Blob, blobFromFloats, toFloat32, toFloat64 } from '../caffe/blob.ts';
import { weightsFile } from '../caffe/caffemodel.ts';
import { type LayerParameter, netParameter } from '../caffe/net-parameter.ts';
import { lower } from '../compile/lower.ts';
import { packWeights } from '../compile/pack-weights.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Graph, Node } from '../graph/graph.ts';
import type { ParameterData } from '../operations/program.ts';
import { runPasses } from '../passes/index.ts';
import { blobsOf, type Network } from './network.ts';

const MERGE_AFFINE = signature('mergeAffine', {
  network: required(
    fields<Network>('{ net, weights }', {
      net: required(netParameter, 'The net.'),
      weights: required(weightsFile, 'The weights of the net.'),
    }),
    'A net and its weights.',
  ),
});

/**
 * Folds BatchNorm (global statistics), Scale and per-channel Bias layers into the convolution directly before them, in
 * float64 with one rounding. In other positions, or after a convolution that shares its weights, these layers stay.
 * @returns The net without the folded layers, whose convolutions have biases, and the number of folded layers.
 * @throws GraphError, WeightsError
 */
export function mergeAffine(network: Network): Network & { readonly merged: number } {
  MERGE_AFFINE.check(network);
  const { net, weights } = network;
  const graph = graphFromCaffe(net);
  const source = blobsOf(graph, weights);
  const folded = runPasses(graph, { only: ['move-crops', 'fold-affine'] });
  const { program, recipes } = lower(folded);
  const removed = new Set<string>();
  const layers = new Map<string, LayerParameter>();
  const blobs = new Map<string, readonly Blob[]>();
  const byName = new Map((net.layer ?? []).map((layer) => [layer.name ?? '', layer]));
  folded.nodes.forEach((node, i) => {
    const operation = program.operations[i]!;
    const layer = byName.get(node.name);
    if (operation.kind !== 'convolution' || layer === undefined || !mayMerge(graph, net.layer ?? [], node))
      return;
    const [packed, bias] = packWeights([recipes[operation.weights]!, recipes[operation.bias!]!], source);
    for (const name of node.layers.slice(1)) removed.add(name);
    const { bias_term: _, ...parameter } = layer.convolution_param ?? {};
    layers.set(node.name, {
      ...layer,
      top: [graph.values[node.outputs[0]!]!.blob],
      convolution_param: parameter,
    });
    blobs.set(node.name, [
      blobFromFloats(program.parameters[operation.weights]!.shape, scaled(packed!)),
      { shape: program.parameters[operation.bias!]!.shape, dtype: bias!.dtype, bytes: bias!.bytes },
    ]);
  });
  return {
    net: {
      ...net,
      layer: (net.layer ?? [])
        .filter(({ name }) => !removed.has(name ?? ''))
        .map((layer) => layers.get(layer.name ?? '') ?? layer),
    },
    weights: {
      ...weights,
      layers: weights.layers
        .filter(({ name }) => !removed.has(name))
        .map((layer) => ({ ...layer, blobs: blobs.get(layer.name) ?? layer.blobs })),
    },
    merged: removed.size,
  };
}

// Layers are found by name, so names must be unique. Shared weights must not change.
function mayMerge(graph: Graph, layers: readonly LayerParameter[], node: Node): boolean {
  if (node.operation.kind !== 'convolution' || node.operation.affine.length === 0) return false;
  const { weights, bias } = node.operation;
  const isShared = (parameter: number | null) =>
    parameter !== null &&
    graph.nodes.filter(
      ({ operation }) =>
        operation.kind === 'convolution' && (operation.weights === parameter || operation.bias === parameter),
    ).length > 1;
  return (
    !isShared(weights) &&
    !isShared(bias) &&
    graph.parameters[weights]!.layer === node.name &&
    node.layers.every((name) => layers.filter((layer) => layer.name === name).length === 1)
  );
}

// The product of float32 and float64 stays float64 until it is stored.
function scaled({ bytes, dtype, channelScale }: ParameterData): Float32Array {
  const values = dtype === 'float32' ? toFloat32({ bytes, dtype }) : toFloat64({ bytes, dtype });
  const result = values instanceof Float32Array ? values : new Float32Array(values.length);
  const inner = values.length / (channelScale?.length ?? 1);
  for (let channel = 0, i = 0; i < values.length; channel++) {
    const factor = channelScale?.[channel] ?? 1;
    for (const end = i + inner; i < end; i++) result[i] = values[i]! * factor;
  }
  return result;
}
