/** The rule of a layer that is a function in JavaScript. */
import { Composition } from './compose.ts';
import { infoOf, type JavaScriptLayer, shapesOf } from './javascript.ts';
import type { Built, LayerContext } from './layer.ts';

/** A layer whose function computes it. */
export function buildJavaScript(layer: JavaScriptLayer, context: LayerContext): Built {
  const info = infoOf(context.layer, context.state.phase, context.shapes);
  const refuse = (text: string): never => context.fail('javascript-layer', text, 'python_param');
  if (layer.forward === undefined)
    refuse('its JavaScript function has no "forward", which only a layer without bottoms may omit');
  const tops = shapesOf(layer, info, refuse);
  const composed = new Composition(context.shapes);
  const goesDown = context.shapes.map(() => layer.backward !== undefined);
  return composed.built(
    composed.add(
      { kind: 'hostFunction', function: { type: context.layer.type ?? '', info, tops, layer } },
      composed.bottoms,
      tops,
      goesDown,
    ),
  );
}
