/** Pooling and SPP. */
import { elementCount, type Shape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation, Pair } from './operation.ts';
import { checkSizes, fourDimensions, type Window } from './window.ts';

export const poolingLayers: Layers = {
  Pooling: { build: pooling, tops: [1, 2] },
  SPP: { build: spp },
};

interface PoolingParameter {
  pool: 'MAX' | 'AVE' | 'STOCHASTIC' | 'AVE_EXC_PAD';
  global_pooling: boolean;
  round_mode: 'CEIL' | 'FLOOR';
}

function pooling(context: LayerContext): Built {
  const p = withDefaults<PoolingParameter>('PoolingParameter', context.layer.pooling_param);
  const shape = fourDimensions(context);
  const window = poolingWindow(context, p, [shape[2]!, shape[3]!]);
  if (
    p.global_pooling &&
    ![...window.pad, ...window.stride.map((each) => each - 1)].every((each) => each === 0)
  )
    context.fail('global-pooling', 'global_pooling takes pad 0 and stride 1');
  const { operation, top } = pooled(context, shape, p.pool, window, p.round_mode);
  if (operation.kind === 'stochasticPooling' && context.topCount > 1)
    context.fail('top-count', 'pool: STOCHASTIC has no mask: it takes one top, found 2');
  return { operation, tops: context.topCount > 1 ? [top, top] : [top] };
}

/** pooling_layer.cpp: the size rounds up, then a window that would start in the far padding is dropped. */
function pooled(
  context: LayerContext,
  [n, channels, height, width]: Shape,
  pool: PoolingParameter['pool'],
  { kernel, stride, pad }: Omit<Window, 'dilation'>,
  rounding: 'CEIL' | 'FLOOR',
): { readonly operation: Operation; readonly top: Shape } {
  if (pool === 'STOCHASTIC' && pad.some((each) => each !== 0))
    context.fail('pad', 'pool: STOCHASTIC takes no pad, as in Caffe', 'pooling_param');
  // Synopsys's fork: padding does not count, which is AVE where there is none.
  if (pool === 'AVE_EXC_PAD' && pad.some((each) => each !== 0))
    context.fail('pad', 'pool: AVE_EXC_PAD is run without a pad, where it is AVE', 'pooling_param');
  checkSizes(context, { kernel, stride, pad, dilation: [1, 1] });
  if (pad[0] >= kernel[0] || pad[1] >= kernel[1])
    context.fail('pad', `pad (${pad.join('×')}) must be smaller than the kernel (${kernel.join('×')})`);
  const round = rounding === 'FLOOR' ? Math.floor : Math.ceil;
  let [h, w] = [height!, width!].map(
    (length, axis) => round((length + 2 * pad[axis]! - kernel[axis]!) / stride[axis]!) + 1,
  ) as [number, number];
  if (pad[0] > 0 || pad[1] > 0) {
    if ((h - 1) * stride[0] >= height! + pad[0]) h--;
    if ((w - 1) * stride[1] >= width! + pad[1]) w--;
  }
  if (h < 1 || w < 1)
    context.fail('too-small', `a ${kernel.join('×')} window does not fit the ${height}×${width} bottom`);
  if (pool === 'STOCHASTIC') {
    const draws = context.state.phase === 'TRAIN';
    return { operation: { kind: 'stochasticPooling', kernel, stride, draws }, top: [n!, channels!, h, w] };
  }
  const method = pool === 'MAX' ? 'max' : 'average';
  return { operation: { kind: 'pooling', method, kernel, stride, pad }, top: [n!, channels!, h, w] };
}

/** spp_layer.cpp: at level l the bottom is pooled to 2^l × 2^l; the levels are joined. */
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
    const { operation, top } = pooled(context, shape, p.pool, { kernel, stride: kernel, pad }, 'CEIL');
    const part = layer.one(operation, layer.bottoms, top);
    return height === 1 ? part : layer.reshape(part, [top[0]!, elementCount(top.slice(1))]);
  });
  if (height === 1) return layer.built(levels);
  const top = [shape[0]!, levels.reduce((sum, { shape: [, size] }) => sum + size!, 0)];
  return layer.built([layer.one({ kind: 'concat', axis: 1 }, levels, top)]);
}

/** pooling_layer.cpp (LayerSetUp): its own rules, which differ. @param size Of the bottom. */
function poolingWindow(
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
          `layer "${context.layer.name ?? ''}" (Pooling): ${ignored} beside kernel_size is ignored, as Caffe does; remove it`,
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
