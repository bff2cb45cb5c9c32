/**
 * Vectors divided by their lengths: Normalize of happynear's fork (normalize_layer.cpp of
 * github.com/happynear/caffe-windows), which has normalize_param, and ChannelScale, which multiplies by the lengths;
 * NormL2 (github.com/xialuxi/arcface-caffe), GRN (opencv/training_toolbox_caffe), and rows of weights for face recognition.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const unitLengthLayers: Layers = {
  ChannelScale: { build: channelScale, bottoms: [2, 2] },
  NormL2: { build: normL2 },
  GRN: { build: grn },
};

/** (Σ values² + eps)^power of each row along the first axis; or of Σ |values|. */
export function lengthsOfRows(
  layer: Composition,
  rows: Part,
  { power, eps, method = 'sumsq' }: { power: number; eps: number; method?: 'sumsq' | 'asum' },
): Part {
  const [outer = 1] = rows.shape;
  const inner = elementCount(rows.shape) / outer;
  const sums = layer.one({ kind: 'reduction', method, coefficient: 1, outer, inner }, [rows], [outer]);
  return layer.one({ kind: 'power', power, scale: 1, shift: eps }, [sums], [outer]);
}

/** Multiplies each row along the first axis by its own factor. */
function scaledRows(layer: Composition, rows: Part, factors: Part): Part {
  const [channels = 1] = rows.shape;
  return layer.one(
    {
      kind: 'scale',
      operand: 'scale',
      scale: null,
      bias: null,
      outer: 1,
      channels,
      inner: elementCount(rows.shape) / channels,
    },
    [rows, factors],
    rows.shape,
  );
}

/**
 * Rows of a learned blob divided by their lengths √(Σ + eps), for forks that divide the blob itself when they run.
 * Their updates change the divided rows. The diff is therefore that of the divided rows times the length: after an
 * update the rows agree with the fork's, except for a length on which nothing depends.
 */
export function unitRows(context: LayerContext, layer: Composition, rows: Part, eps: number): Part {
  const inner = elementCount(rows.shape.slice(1));
  const scaled = (values: Float32Array, blob: Float32Array, power: 1 | -1) => {
    const made = new Float32Array(values.length);
    for (let first = 0; first < made.length; first += inner) {
      let sum = eps;
      for (let i = first; i < first + inner; i++) sum += blob[i]! * blob[i]!;
      const factor = Math.sqrt(sum) ** power;
      for (let i = first; i < first + inner; i++) made[i] = values[i]! * factor;
    }
    return made;
  };
  const operation = hostFunction(context, [rows.shape], [rows.shape], {
    forward: ([blob]) => [scaled(blob!.data, blob!.data, -1)],
    backward: ({ bottoms: [blob], topDiffs: [diff] }) => [scaled(diff!.data, blob!.data, 1)],
  });
  return layer.one(operation, [rows], rows.shape);
}

/** The bottom with four axes, and their sizes. */
function fourAxes(context: LayerContext): readonly [Shape, items: number, channels: number, places: number] {
  const shape = context.shapes[0]!;
  if (shape.length === 0 || shape.length > 4)
    context.fail('dimensions', `takes 1 to 4 axes, found ${showShape(shape)}`);
  const top = [...shape, 1, 1, 1].slice(0, 4);
  return [top, top[0]!, top[1]!, top[2]! * top[3]!];
}

/** normL2_layer.cpp, for each item. */
function normL2(context: LayerContext): Built {
  const [top] = fourAxes(context);
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const made = scaledRows(layer, x, lengthsOfRows(layer, x, { power: -0.5, eps: 1e-7 }));
  return layer.built([layer.reshape(made, top)]);
}

const METHODS: Readonly<Record<string, { method: 'sumsq' | 'asum'; power: number }>> = {
  L2: { method: 'sumsq', power: 0.5 },
  L1: { method: 'asum', power: 1 },
};

/** The channels at each position times a power of their sum, and the rows of channels. */
function unitChannels(
  context: LayerContext,
  layer: Composition,
  by: Parameters<typeof lengthsOfRows>[2],
): { made: Part; rows: Part } {
  const [top, items, channels, places] = fourAxes(context);
  const whole = layer.reshape(layer.bottoms[0]!, [items, channels, places]);
  const isPlain = places === 1;
  const rows = layer.reshape(isPlain ? whole : layer.permute(whole, [0, 2, 1]), [items * places, channels]);
  const units = layer.reshape(scaledRows(layer, rows, lengthsOfRows(layer, rows, by)), [
    items,
    places,
    channels,
  ]);
  return { made: layer.reshape(isPlain ? units : layer.permute(units, [0, 2, 1]), top), rows };
}

/** grn_layer.cpp: the channels at each position divided by √(Σ x² + bias). */
function grn(context: LayerContext): Built {
  const p = withDefaults<{ bias: number; dummy_backward: boolean }>('GRNParameter', context.layer.grn_param);
  const at = (field: string) => positionOf(context.layer.grn_param, field);
  if (p.bias < 0) context.fail('unsupported', `bias must be at least 0, found ${p.bias}`, at('bias'));
  if (p.dummy_backward && context.state.phase === 'TRAIN')
    context.fail(
      'unsupported',
      'dummy_backward: true, another diff, is not supported in phase TRAIN',
      at('dummy_backward'),
    );
  const layer = new Composition(context.shapes);
  const { made } = unitChannels(context, layer, { method: 'sumsq', power: -0.5, eps: p.bias });
  return layer.built([layer.reshape(made, context.shapes[0]!)]);
}

/**
 * The channels at each position divided by their length, and the length itself, from which a diff goes down only with
 * bp_norm.
 */
export function unitPlaces(context: LayerContext): Built {
  const written = context.layer.normalize_param;
  const p = withDefaults<{ normalize_type: string; bp_norm: boolean }>(
    'HappynearNormalizeParameter',
    written,
  );
  if (!Object.hasOwn(METHODS, p.normalize_type))
    context.fail(
      'unsupported',
      `normalize_type must be "L2" or "L1", found "${p.normalize_type}"`,
      positionOf(written, 'normalize_type'),
    );
  const { method, power } = METHODS[p.normalize_type]!;
  const [top, items, , places] = fourAxes(context);
  const layer = new Composition(context.shapes);
  const { made, rows } = unitChannels(context, layer, { method, power: -power, eps: 1e-6 });
  if (context.topCount < 2) return layer.built([made]);
  const [item, , height, width] = top as [number, number, number, number];
  const lengths = lengthsOfRows(layer, rows, { method, power, eps: 1e-6 });
  const length = layer.one({ kind: 'identity' }, [lengths], [items * places], [p.bp_norm]);
  return layer.built([made, layer.reshape(length, [item, 1, height, width])]);
}

/**
 * channel_scale_layer.cpp: multiplies all channels of a position by one number; channel_scale_param selects the diffs.
 */
function channelScale(context: LayerContext): Built {
  const written = context.layer.channel_scale_param;
  const p = withDefaults<{
    do_forward: boolean;
    do_backward_feature: boolean;
    do_backward_scale: boolean;
    global_scale: boolean;
  }>('ChannelScaleParameter', written);
  for (const [field, known] of [
    ['do_forward', true],
    ['do_backward_feature', true],
    ['global_scale', false],
  ] as const)
    if (p[field] !== known)
      context.fail(
        'unsupported',
        `${field} is run as ${known}, found ${p[field]}`,
        positionOf(written, field),
      );
  const [top, items, channels, places] = fourAxes(context);
  const factors = context.shapes[1]!;
  if (elementCount(factors) !== items * places)
    context.fail('shape', `needs a number for each of ${items * places} places, found ${showShape(factors)}`);
  const layer = new Composition(context.shapes);
  const [x, by] = layer.bottoms as [Part, Part];
  const whole = layer.reshape(x, [items, channels, places]);
  const isPlain = places === 1;
  const rows = layer.reshape(isPlain ? whole : layer.permute(whole, [0, 2, 1]), [items * places, channels]);
  const flat = layer.reshape(by, [items * places]);
  const numbers = p.do_backward_scale ? flat : layer.one({ kind: 'identity' }, [flat], flat.shape, [false]);
  const made = layer.reshape(scaledRows(layer, rows, numbers), [items, places, channels]);
  return layer.built([
    layer.reshape(
      isPlain ? made : layer.permute(made, [0, 2, 1]),
      context.shapes[0]!.length === 4 ? top : x.shape,
    ),
  ]);
}
