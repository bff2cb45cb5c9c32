/** Functions of one value: ReLU, PReLU, ELU, Sigmoid, TanH, AbsVal, Power. */
import { showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation } from './operation.ts';

export const activationLayers: Layers = {
  ReLU: { build: relu },
  PReLU: { build: prelu },
  ELU: { build: elu },
  Sigmoid: { build: same({ kind: 'sigmoid' }) },
  TanH: { build: same({ kind: 'tanh' }) },
  AbsVal: { build: same({ kind: 'absval' }) },
  Power: { build: power },
};

function relu(context: LayerContext): Built {
  const p = withDefaults<{ negative_slope: number }>('ReLUParameter', context.layer.relu_param);
  return same({ kind: 'relu', negativeSlope: p.negative_slope })(context);
}

/** prelu_layer.cpp */
function prelu(context: LayerContext): Built {
  const p = withDefaults<{ filler?: object; channel_shared: boolean }>(
    'PReLUParameter',
    context.layer.prelu_param,
  );
  const shape = context.shapes[0]!;
  if (shape.length < 2)
    context.fail('dimensions', `expected a bottom of at least 2 dimensions, found ${showShape(shape)}`);
  const slope = context.parameter(
    p.channel_shared ? [] : [shape[1]!],
    p.filler ?? { type: 'constant', value: 0.25 },
  );
  return { operation: { kind: 'prelu', slope, channelShared: p.channel_shared }, tops: [shape] };
}

function elu(context: LayerContext): Built {
  const p = withDefaults<{ alpha: number }>('ELUParameter', context.layer.elu_param);
  return same({ kind: 'elu', alpha: p.alpha })(context);
}

function power(context: LayerContext): Built {
  const p = withDefaults<{ power: number; scale: number; shift: number }>(
    'PowerParameter',
    context.layer.power_param,
  );
  return same({ kind: 'power', power: p.power, scale: p.scale, shift: p.shift })(context);
}

function same(operation: Operation) {
  return (context: LayerContext): Built => ({ operation, tops: [context.shapes[0]!] });
}
