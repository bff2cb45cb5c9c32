/** The input of a net that takes images. */
import { GraphError } from '../../base/errors.ts';
import type { Model } from '../../device/model.ts';
import type { Shapes } from '../../device/tensor.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Size } from '../geometry.ts';

export interface ImageInput {
  /** The name of the blob. */
  readonly name: string;
  readonly channels: 1 | 3;
  readonly size: Size;
}

/**
 * The single N×3×H×W or N×1×H×W input of a model.
 * @throws GraphError `graph/no-classifier` if it has other inputs
 */
export function imageInput(model: Pick<Model, 'inputs'>): ImageInput {
  const [[name, shape], ...others] = Object.entries(model.inputs) as [[string, number[]]];
  const [, channels, height, width] = shape;
  if (others.length > 0 || shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new GraphError(
      'graph/no-classifier',
      {},
      `expected a net with one input N×3×H×W or N×1×H×W, found ${Object.entries(model.inputs)
        .map(([blob, dims]) => `${blob} ${dims.join('×')}`)
        .join(', ')}; give a deploy prototxt (resnode print --deploy makes it)`,
    );
  return { name, channels, size: { width: width!, height: height! } };
}

/**
 * The shapes of a graph's inputs.
 * @param but An input to skip; null: all are returned.
 */
export const inputsOf = (graph: Graph, but: string | null): Shapes =>
  Object.fromEntries(
    graph.inputs
      .map((id) => graph.values[id]!)
      .filter(({ blob }) => blob !== but)
      .map(({ blob, shape }) => [blob, [...shape]]),
  );
