/**
 * Pooling and SPP. Synopsys's fork adds pads for each side, and a mean without the padding: AVE_EXC_PAD, formerly AVE_TF.
 */
import { elementCount, type Shape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation, Pair } from './operation.ts';
import { type Pads, padsOfSides, SIDES, withZeros } from './uneven-pads.ts';
import { checkSizes, fourDimensions, type Window } from './window.ts';

export const poolingLayers: Layers = {
  Pooling: { build: planarPooling, tops: [1, 2] },
  SPP: { build: spp },
};

export interface PoolingParameter {
  pool: 'MAX' | 'AVE' | 'STOCHASTIC' | 'AVE_EXC_PAD' | 'AVE_TF';
  global_pooling: boolean;
  round_mode: 'CEIL' | 'FLOOR';
  pad_type?: number;
}

/** pooling_layer.cpp. */
export function planarPooling(context: LayerContext): Built {
  const p = withDefaults<PoolingParameter>('PoolingParameter', context.layer.pooling_param);
  const shape = fourDimensions(context, 'type: "PoolingND" pools over volumes with the same fields');
  const window = poolingWindow(context, p, [shape[2]!, shape[3]!]);
  const pads = padsOfSides(context, context.layer.pooling_param ?? {}, {
    size: shape.slice(2),
    extent: window.kernel,
    stride: window.stride,
  });
  const requested = { ...window, pads: pads ?? { before: window.pad, after: window.pad } };
  if (
    p.global_pooling &&
    ![...requested.pads.before, ...requested.pads.after, ...window.stride.map((each) => each - 1)].every(
      (each) => each === 0,
    )
  )
    context.fail('global-pooling', 'global_pooling requires pad 0 and stride 1');
  if (p.pool !== 'MAX' && context.topCount > 1)
    context.fail('top-count', `pool: ${p.pool} has no mask and therefore one top, found 2`);
  if (p.pool === 'STOCHASTIC') {
    const { operation, top } = stochastic(context, shape, window, p.round_mode);
    return { operation, tops: [top] };
  }
  // SAME pads for ceil(size / stride) windows. One more window would be empty.
  const rounding = p.pad_type === 1 ? 'FLOOR' : p.round_mode;
  const found = pooled(context, shape, requested, rounding, p.pool);
  const { operation, made, top, skipped, countsPadding } = found;
  const layer = new Composition(context.shapes);
  if (found.isOfZeros) {
    const [x] = layer.bottoms as [Part];
    return layer.built([layer.one(operation, [withZeros(layer, x, requested.pads)], top)]);
  }
  const leavesOut = countsPadding && (p.pool === 'AVE_EXC_PAD' || p.pool === 'AVE_TF');
  if (made === top && !leavesOut) return { operation, tops: context.topCount > 1 ? [top, top] : [top] };
  const tops = layer.add(operation, layer.bottoms, context.topCount > 1 ? [made, made] : [made]);
  const results = leavesOut ? [withoutPadding(layer, operation, tops[0]!)] : tops;
  if (made === top) return layer.built(results);
  return layer.built(
    results.map((each) => layer.one({ kind: 'crop', offset: [0, 0, ...skipped] }, [each], top)),
  );
}

/** Sizes by pooling_layer.cpp: rounds up, then drops a window that would start in the far padding. */
function windowCounts(
  context: LayerContext,
  sizes: readonly number[],
  { kernel, stride, pads: { before, after } }: Padded,
  rounding: 'CEIL' | 'FLOOR',
): Pair {
  const round = rounding === 'FLOOR' ? Math.floor : Math.ceil;
  const isPadded = [...before, ...after].some((each) => each > 0);
  const [h, w] = sizes.map((size, i) => {
    const count = round((size + before[i]! + after[i]! - kernel[i]!) / stride[i]!) + 1;
    return isPadded && (count - 1) * stride[i]! >= size + before[i]! ? count - 1 : count;
  }) as [number, number];
  if (h < 1 || w < 1)
    context.fail('too-small', `a ${kernel.join('×')} window does not fit the ${sizes.join('×')} bottom`);
  return [h, w];
}

interface Padded {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pads: Pads;
}

/** The pooling to run, its result, and the part of the result that is the top. */
interface Pooled {
  readonly operation: Operation;
  readonly made: Shape;
  /** `made` itself if the top is all of it. */
  readonly top: Shape;
  readonly skipped: Pair;
  /** Whether a mean counts the padding. */
  readonly countsPadding: boolean;
  /** The bottom is first padded with zeros. */
  readonly isOfZeros?: true;
}

export function pooled(
  context: LayerContext,
  [n, channels, height, width]: Shape,
  window: Padded,
  rounding: 'CEIL' | 'FLOOR',
  pool: PoolingParameter['pool'],
): Pooled {
  const { kernel, stride, pads } = window;
  for (const pad of [pads.before, pads.after]) {
    checkSizes(context, { kernel, stride, pad, dilation: [1, 1] });
    if (pad[0] >= kernel[0] || pad[1] >= kernel[1])
      context.fail('pad', `pad (${pad.join('×')}) must be smaller than the kernel (${kernel.join('×')})`);
  }
  const sizes = [height!, width!];
  const count = windowCounts(context, sizes, window, rounding);
  const axes = sizes.map((size, i) => {
    const [before, after] = [pads.before[i]!, pads.after[i]!];
    const overhang = (count[i]! - 1) * stride[i]! - before + kernel[i]! - size;
    const least = skippedWindows(size, kernel[i]!, stride[i]!, before, count[i]!);
    // A mean counts the padding that its last window reaches, up to the pad at that end, or all of it.
    const reached = Math.min(overhang, after);
    const skipped = pool === 'AVE' ? Math.max(least, Math.ceil((reached - before) / stride[i]!)) : least;
    const pad = before + skipped * stride[i]!;
    const isMean = overhang <= after || pad === after;
    return { skipped, pad, fits: pad < kernel[i]! && (pool !== 'AVE' || isMean) };
  });
  if (pool === 'AVE' && axes.some(({ fits }) => !fits)) {
    const all = [n!, channels!, ...count];
    const operation: Operation = { kind: 'pooling', method: 'average', kernel, stride, pad: [0, 0] };
    return { operation, made: all, top: all, skipped: [0, 0], countsPadding: false, isOfZeros: true };
  }
  if (axes.some(({ fits }) => !fits))
    context.fail(
      'pad',
      `padding ${pads.before.join('×')} before and ${pads.after.join('×')} after with a ${kernel.join('×')} window is not supported for pool: ${pool}; add a Pad layer before it`,
      'pooling_param',
    );
  const [h, w] = axes as [(typeof axes)[0], (typeof axes)[0]];
  const made = [n!, channels!, h.skipped + count[0], w.skipped + count[1]];
  const method = pool === 'MAX' ? 'max' : 'average';
  const operation: Operation = { kind: 'pooling', method, kernel, stride, pad: [h.pad, w.pad] };
  const isAll = h.skipped + w.skipped === 0;
  return {
    operation,
    made,
    top: isAll ? made : [n!, channels!, ...count],
    skipped: [h.skipped, w.skipped],
    countsPadding: h.pad + w.pad > 0,
  };
}

/**
 * The number of windows to make before the first requested one. With it, the last window begins where a pooling with equal
 * pads on both sides may have its last.
 */
function skippedWindows(size: number, kernel: number, stride: number, pad: number, count: number): number {
  const beyond = (count - 1) * stride - (size + 2 * pad - kernel + stride) + 1;
  return Math.max(0, Math.ceil(beyond / stride));
}

/** A mean over the positions on the bottom only: the mean over the padded window, divided by the same mean of ones. */
function withoutPadding(layer: Composition, operation: Operation, mean: Part): Part {
  const [x] = layer.bottoms as [Part];
  const [n, channels, ...plane] = mean.shape as [number, number, ...number[]];
  const places = elementCount(plane);
  const power = (part: Part, exponent: number) =>
    layer.one({ kind: 'power', power: exponent, scale: 1, shift: 0 }, [part], part.shape);
  const one = layer.one({ kind: 'crop', offset: [0, 0, 0, 0] }, [x], [1, 1, ...x.shape.slice(2)], [false]);
  const share = layer.one(operation, [power(one, 0)], [1, 1, ...plane]);
  return layer.one(
    {
      kind: 'scale',
      operand: 'scale',
      scale: null,
      bias: null,
      outer: n * channels,
      channels: places,
      inner: 1,
    },
    [mean, layer.reshape(power(share, -1), [places])],
    mean.shape,
  );
}

function stochastic(
  context: LayerContext,
  [n, channels, ...sizes]: Shape,
  { kernel, stride, pad }: Omit<Window, 'dilation'>,
  rounding: 'CEIL' | 'FLOOR',
): { readonly operation: Operation; readonly top: Shape } {
  const param: Message = context.layer.pooling_param ?? {};
  if (pad.some((each) => each !== 0) || param.pad_type || SIDES.some((side) => param[side] !== undefined))
    context.fail('pad', 'pool: STOCHASTIC takes no pad, as in Caffe', 'pooling_param');
  checkSizes(context, { kernel, stride, pad, dilation: [1, 1] });
  const window = { kernel, stride, pads: { before: pad, after: pad } };
  const count = windowCounts(context, sizes, window, rounding);
  const draws = context.state.phase === 'TRAIN';
  return { operation: { kind: 'stochasticPooling', kernel, stride, draws }, top: [n!, channels!, ...count] };
}

/** spp_layer.cpp: at level l the bottom is pooled to 2^l × 2^l. The levels are concatenated. */
function spp(context: LayerContext): Built {
  const p = withDefaults<{ pyramid_height?: number; pool: PoolingParameter['pool'] }>(
    'SPPParameter',
    context.layer.spp_param,
  );
  const shape = fourDimensions(context);
  const height = p.pyramid_height ?? 0;
  if (height < 1) context.fail('pyramid-height', 'pyramid_height must be given and at least 1', 'spp_param');
  // 2^31 windows are more than any blob has pixels.
  if (height > 31) context.fail('pyramid-height', `pyramid_height ${height} is over 31`, 'spp_param');
  const layer = new Composition(context.shapes);
  const levels = Array.from({ length: height }, (_, level) => {
    const bins = 2 ** level;
    const sizes = [shape[2]!, shape[3]!] as const;
    const kernel = sizes.map((size) => Math.ceil(size / bins)) as [number, number];
    const pad = sizes.map((size, i) => Math.floor((kernel[i]! * bins - size + 1) / 2)) as [number, number];
    const window = { kernel, stride: kernel, pad, pads: { before: pad, after: pad } };
    const slide = p.pool === 'STOCHASTIC' ? stochastic : pooled;
    const { operation, top } = slide(context, shape, window, 'CEIL', p.pool);
    const part = layer.one(operation, layer.bottoms, top);
    return height === 1 ? part : layer.reshape(part, [top[0]!, elementCount(top.slice(1))]);
  });
  if (height === 1) return layer.built(levels);
  const top = [shape[0]!, levels.reduce((sum, { shape: [, size] }) => sum + size!, 0)];
  return layer.built([layer.one({ kind: 'concat', axis: 1 }, levels, top)]);
}

/**
 * pooling_layer.cpp (LayerSetUp) has its own, different rules.
 * @param size The size of the bottom.
 */
export function poolingWindow(
  context: LayerContext,
  { global_pooling: isGlobal }: { readonly global_pooling: boolean },
  size: Pair,
): Omit<Window, 'dilation'> {
  const param: Message = context.layer.pooling_param ?? {};
  const given = (field: string) => param[field] as number | undefined;
  const at = (...fields: string[]) =>
    positionOf(
      param,
      fields.find((field) => given(field) !== undefined),
    );
  const pair = (name: 'stride' | 'pad', missing: number): Pair => {
    const [h, w] = [given(`${name}_h`), given(`${name}_w`)];
    if (h === undefined && w === undefined) return [given(name) ?? missing, given(name) ?? missing];
    if (h === undefined || w === undefined || given(name) !== undefined)
      context.fail(
        name,
        given(name) === undefined
          ? `gives ${name}_${h === undefined ? 'w' : 'h'} without ${name}_${h === undefined ? 'h' : 'w'}; give both, or ${name}`
          : `gives both ${name} and ${name}_${h === undefined ? 'w' : 'h'}; give either ${name} or ${name}_h and ${name}_w`,
        at(`${name}_h`, `${name}_w`),
      );
    return [h, w];
  };
  return { kernel: kernelOf(), stride: pair('stride', 1), pad: pair('pad', 0) };

  function kernelOf(): Pair {
    const [whole, h, w] = ['kernel_size', 'kernel_h', 'kernel_w'].map(given);
    const place = at('kernel_h', 'kernel_w', 'kernel_size');
    if (isGlobal) {
      if (whole !== undefined || h !== undefined || w !== undefined)
        context.fail('kernel', 'global_pooling takes no kernel size; remove it', place);
      return size;
    }
    if (whole !== undefined && h !== undefined && w !== undefined)
      context.fail('kernel', 'gives both kernel_size and kernel_h and kernel_w; give either', place);
    if (whole !== undefined) {
      const ignored = h !== undefined ? 'kernel_h' : w !== undefined ? 'kernel_w' : null;
      if (ignored !== null)
        warn(
          'graph/kernel',
          `layer "${context.layer.name ?? ''}" (Pooling): ${ignored} beside kernel_size is ignored, as in Caffe; remove it`,
        );
      return [whole, whole];
    }
    if (h !== undefined && w !== undefined) return [h, w];
    if (h === undefined && w === undefined)
      context.fail('kernel', 'expected kernel_size, or kernel_h and kernel_w', 'pooling_param');
    return context.fail(
      'kernel',
      `gives kernel_${h === undefined ? 'w' : 'h'} without kernel_${h === undefined ? 'h' : 'w'}; give both, or kernel_size`,
      place,
    );
  }
}
