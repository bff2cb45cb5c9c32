/** Shapes are given by the names of inputs: one that no input has is a slip. */

import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** The blobs of a net that its user or its data gives. */
export const inputNames = (layers: readonly LayerParameter[]): string[] =>
  layers.filter(({ bottom = [] }) => bottom.length === 0).flatMap(({ top = [] }) => top);

/** @throws ArgumentError for shapes of blobs that are no inputs, with the nearest one */
export function checkInputNames(inputs: readonly string[], shapes: object): void {
  for (const name of Object.keys(shapes))
    if (!inputs.includes(name))
      throw new ArgumentError(
        'inputShapes',
        `inputs of the net (${[...new Set(inputs)].join(', ') || 'it has none'})`,
        name,
        didYouMean(name, inputs),
      );
}
