/**
 * Layers that change while the net learns: ScaleTanH of HashNet (github.com/thuml/HashNet, arXiv:1702.00758), which
 * ends as a sign, and GradientScaler (github.com/ddtm/caffe, arXiv:1409.7495), which turns gradients round. Both count
 * the forward passes of the training.
 */
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const annealedLayers: Layers = {
  GradientScaler: { build: gradientScaler },
  ScaleTanH: { build: scaledTanH },
};

/** scale_tanh_layer.cpp: tanh(scale · x). In phase TEST the scale stays as it begins. */
function scaledTanH(context: LayerContext): Built {
  const written = context.layer.scale_tanh_param;
  const p = withDefaults<{ init_scale: number; step_size: number; gamma: number; power: number }>(
    'ScaleTanHParameter',
    written,
  );
  if (p.step_size < 1)
    context.fail(
      'shape',
      'step_size must be at least 1',
      positionOf(written, 'step_size') ?? 'scale_tanh_param',
    );
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  if (context.state.phase === 'TEST') {
    const scaled = layer.one({ kind: 'power', power: 1, scale: p.init_scale, shift: 0 }, [x], x.shape);
    return layer.built([layer.one({ kind: 'tanh' }, [scaled], x.shape)]);
  }
  const scaleAt = (count: number) => p.init_scale * (1 + p.gamma * count) ** p.power;
  // Reshape counts, which Caffe also calls once before the first pass.
  let iteration = 1 + context.state.passesBefore;
  const operation = hostFunction(context, context.shapes, [x.shape, [1]], {
    forward: ([from]) => {
      iteration++;
      const last = iteration - (iteration % p.step_size);
      const scale = last > 0 ? scaleAt(last) : p.init_scale;
      return [from!.data.map((value) => Math.tanh(scale * value)), Float32Array.of(scale)];
    },
    backward: ({ tops: [made, by], topDiffs: [diff] }) => [
      diff!.data.map((down, i) => by!.data[0]! * down * (1 - made!.data[i]! ** 2)),
    ],
  });
  return layer.built(layer.add(operation, [x], [x.shape, [1]]).slice(0, 1));
}

/**
 * gradient_scaler_layer.cpp: y = x, and −λ times the diff, where λ grows from lower_bound to upper_bound along a
 * logistic curve over max_iter iterations.
 */
function gradientScaler(context: LayerContext): Built {
  const written = context.layer.gradient_scaler_param;
  const p = withDefaults<{ lower_bound: number; upper_bound: number; alpha: number; max_iter: number }>(
    'GradientScalerParameter',
    written,
  );
  const refuse = (field: string, text: string) =>
    context.fail('range', text, positionOf(written, field) ?? 'gradient_scaler_param');
  if (p.lower_bound > p.upper_bound)
    refuse('lower_bound', `lower_bound ${p.lower_bound} is above upper_bound ${p.upper_bound}`);
  if (p.alpha < 0) refuse('alpha', `alpha must be at least 0, found ${p.alpha}`);
  if (p.max_iter < 1) refuse('max_iter', `max_iter must be at least 1, found ${p.max_iter}`);
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  if (context.state.phase === 'TEST') return layer.built([x]);
  const height = p.upper_bound - p.lower_bound;
  let iteration = context.state.passesBefore;
  const operation = hostFunction(context, context.shapes, [x.shape, [1]], {
    forward: ([from]) => {
      const progress = Math.min(1, iteration++ / p.max_iter);
      const factor = (2 * height) / (1 + Math.exp(-p.alpha * progress)) - height + p.lower_bound;
      return [from!.data, Float32Array.of(factor)];
    },
    backward: ({ tops: [, factor], topDiffs: [diff] }) => [
      diff!.data.map((down) => -factor!.data[0]! * down),
    ],
  });
  return layer.built(layer.add(operation, [x], [x.shape, [1]]).slice(0, 1));
}
