/** Shapes that the prototxt says, not the data. */
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { declaredShapes } from '../layers/data.ts';
import type { Context } from './layer-context.ts';

/** The shapes that a prototxt says; null for a type whose data have them. */
export function givenShapes(
  layer: LayerParameter,
  { tops, refuse }: Context,
): Record<string, readonly number[]> | null {
  const shapes = declaredShapes(layer, refuse);
  return shapes && Object.fromEntries(tops.map((top, i) => [top, shapes[i]!]));
}
