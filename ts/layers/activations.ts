/**
 * Elementwise functions: ReLU, PReLU, ELU, Sigmoid, TanH, AbsVal, Power, BNLL, Clip, Exp, Log, Swish, Threshold; Sparsify
 * (wenwei202's fork).
 */
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation } from './operation.ts';

export const activationLayers: Layers = {
  ReLU: { build: relu, tops: [1, 2] },
  PReLU: { build: prelu },
  ELU: { build: elu },
  Sigmoid: { build: same({ kind: 'sigmoid' }) },
  TanH: { build: same({ kind: 'tanh' }) },
  AbsVal: { build: same({ kind: 'absval' }) },
  Power: { build: power },
  BNLL: { build: (context) => same({ kind: 'bnll', inPlace: isInPlace(context) })(context) },
  Clip: { build: clip },
  Exp: { build: exp },
  Log: { build: log },
  Swish: { build: swish },
  Threshold: { build: threshold },
  Sparsify: { build: sparsify },
};

function relu(context: LayerContext): Built {
  const p = withDefaults<{ negative_slope: number; relu6: boolean }>(
    'ReLUParameter',
    context.layer.relu_param,
  );
  // Synopsys's fork.
  if (p.relu6) {
    if (context.topCount > 1)
      context.fail('top-count', 'a ReLU with relu6 has no second top, the mask of HyeonwooNoh/caffe');
    if (p.negative_slope !== 0)
      context.fail(
        'unsupported',
        'relu6 with a negative_slope is not supported; keep one',
        positionOf(context.layer.relu_param, 'relu6'),
      );
    return same({ kind: 'clip', min: 0, max: 6, passesBounds: false, inPlace: isInPlace(context) })(context);
  }
  const operation = { kind: 'relu', negativeSlope: p.negative_slope } as const;
  return context.topCount > 1 ? withMask(context, operation) : same(operation)(context);
}

/** relu_layer.cpp of HyeonwooNoh/caffe: a second top is 1 where the bottom is above 0, and has no diff. */
function withMask(context: LayerContext, operation: Operation): Built {
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const mask = layer.one({ kind: 'threshold', threshold: 0 }, [x], x.shape, [false]);
  return layer.built([layer.one(operation, [x], x.shape), mask]);
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

export const isInPlace = ({ layer }: LayerContext): boolean => layer.top?.[0] === layer.bottom?.[0];

/** clip_layer.cpp: without clip_param both bounds have protobuf's default, 0. */
function clip(context: LayerContext): Built {
  const written: { min?: number; max?: number } | undefined = context.layer.clip_param;
  const missing = (['min', 'max'] as const).find(
    (field) => written !== undefined && written[field] === undefined,
  );
  if (missing !== undefined)
    context.fail('clip', `clip_param needs min and max, ${missing} is missing`, 'clip_param');
  const { min = 0, max = 0 } = written ?? {};
  return same({ kind: 'clip', min, max, passesBounds: true, inPlace: isInPlace(context) })(context);
}

interface Logarithmic {
  base: number;
  scale: number;
  shift: number;
}

/** Caffe's base −1 means e. */
const lnOfBase = (base: number): number => (base === -1 ? 1 : Math.log(base));

function checkBase(context: LayerContext, base: number, field: 'exp_param' | 'log_param'): void {
  if (base !== -1 && !(base > 0))
    context.fail(
      'base',
      `base must be above 0, or −1 for e, found ${base}`,
      positionOf(context.layer[field], 'base'),
    );
}

/** exp_layer.cpp: base^(shift + scale·x) = base^shift · e^(scale·ln(base)·x) */
function exp(context: LayerContext): Built {
  const { base, scale, shift } = withDefaults<Logarithmic>('ExpParameter', context.layer.exp_param);
  checkBase(context, base, 'exp_param');
  const ln = lnOfBase(base);
  return same({ kind: 'exp', inner: scale * ln, outer: Math.exp(shift * ln) })(context);
}

/** log_layer.cpp: log_base(scale·x + shift) */
function log(context: LayerContext): Built {
  const { base, scale, shift } = withDefaults<Logarithmic>('LogParameter', context.layer.log_param);
  checkBase(context, base, 'log_param');
  if (base === 1)
    context.fail('base', 'base 1 has no logarithm: ln(1) is 0', positionOf(context.layer.log_param, 'base'));
  return same({ kind: 'log', scale, shift, factor: 1 / lnOfBase(base), inPlace: isInPlace(context) })(
    context,
  );
}

function swish(context: LayerContext): Built {
  const { beta } = withDefaults<{ beta: number }>('SwishParameter', context.layer.swish_param);
  return same({ kind: 'swish', beta })(context);
}

function threshold(context: LayerContext): Built {
  const p = withDefaults<{ threshold: number }>('ThresholdParameter', context.layer.threshold_param);
  return same({ kind: 'threshold', threshold: p.threshold })(context);
}

/** sparsify_layer.cpp. In training it is not an elementwise function, because its penalty is added to the diff. */
function sparsify(context: LayerContext): Built {
  const p = withDefaults<{ coef: number; thre: number }>('SparsifyParameter', context.layer.sparsify_param);
  return same({ kind: 'sparsify', threshold: p.thre, coefficient: p.coef })(context);
}

export function same(operation: Operation) {
  return (context: LayerContext): Built => ({ operation, tops: [context.shapes[0]!] });
}
