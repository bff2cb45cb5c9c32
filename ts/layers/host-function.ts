/** An operation that a function on the host computes: a part of a layer, or all of it. */
import type { Shape } from '../base/shape.ts';
import { infoOf, type JavaScriptLayer } from './javascript.ts';
import type { LayerContext } from './layer.ts';
import type { Operation } from './operation.ts';

/**
 * @param bottoms The shapes of its inputs.
 * @param compute Its functions; their own shapes are not used.
 */
export function hostFunction(
  context: LayerContext,
  bottoms: readonly Shape[],
  tops: readonly Shape[],
  compute: Omit<JavaScriptLayer, 'shapes'>,
): Operation {
  const info = infoOf(context.layer, context.state.phase, bottoms);
  const layer = { ...compute, shapes: () => tops };
  return { kind: 'hostFunction', function: { type: context.layer.type ?? '', info, tops, layer } };
}
