/** Operations that functions on the host compute: a part of a layer, or all of it. */
import type { Shape } from '../base/shape.ts';
import { Composition } from './compose.ts';
import { type HostFunction, infoOf, type JavaScriptLayer, shapesOf } from './javascript.ts';
import type { Built, LayerContext } from './layer.ts';
import type { Operation } from './operation.ts';

/** @param bottoms The shapes of its inputs. */
export function hostFunction(
  { layer, state }: LayerContext,
  bottoms: readonly Shape[],
  tops: readonly Shape[],
  compute: HostFunction['layer'],
): Operation {
  const info = infoOf(layer, state.phase, bottoms);
  return { kind: 'hostFunction', function: { type: layer.type ?? '', info, tops, layer: compute } };
}

/** A layer whose function computes it. */
export function buildJavaScript(layer: JavaScriptLayer, context: LayerContext): Built {
  const refuse = (text: string): never => context.fail('javascript-layer', text, 'python_param');
  if (layer.forward === undefined)
    refuse('its JavaScript function has no "forward", which only a layer without bottoms may omit');
  const { shapes } = context;
  const tops = shapesOf(layer, infoOf(context.layer, context.state.phase, shapes), refuse);
  const composed = new Composition(shapes);
  const goesDown = shapes.map(() => layer.backward !== undefined);
  return composed.built(
    composed.add(hostFunction(context, shapes, tops, layer), composed.bottoms, tops, goesDown),
  );
}
