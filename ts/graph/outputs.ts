/** Outputs by name: `blob`, `blob@layer`, and the copies that Caffe makes of a blob for several readers. */

import { GraphError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import type { Graph, ValueId } from './graph.ts';

/**
 * The value with a name: `blob` (its final value) or `blob@layer` (directly after that layer).
 * @throws GraphError `graph/unknown-blob`
 */
export function resolveOutput(graph: Graph, name: string): ValueId {
  const at = name.lastIndexOf('@');
  const byLayer =
    at < 0
      ? -1
      : graph.values.findLastIndex(
          (value) => value.blob === name.slice(0, at) && value.layer === name.slice(at + 1),
        );
  const id = graph.blobs.get(name) ?? (byLayer < 0 ? splitSource(graph, name) : byLayer);
  if (id !== undefined) return id;
  const near = nearest(name, graph.blobs.keys());
  throw new GraphError(
    'graph/unknown-blob',
    {},
    `the net has no blob "${name}"; ${near === undefined ? '`resnode summary` lists the blobs' : `did you mean "${near}"?`}`,
  );
}

// Caffe names its copies for several readers `<blob>_<layer>_<top>_split_<k>`. Here these names mean the blob.
function splitSource(graph: Graph, name: string): ValueId | undefined {
  const prefix = /^(.+)_\d+_split_\d+$/.exec(name)?.[1];
  const id =
    prefix === undefined
      ? -1
      : graph.values.findLastIndex((value) => `${value.blob}_${value.layer}` === prefix);
  return id < 0 ? undefined : id;
}

/** The graph with other outputs, named as in `resolveOutput`. */
export function withOutputs(graph: Graph, names: readonly string[]): Graph {
  return { ...graph, outputs: names.map((name) => resolveOutput(graph, name)) };
}
