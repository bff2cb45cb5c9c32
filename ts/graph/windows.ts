/** kernel, stride, pad and dilation of Convolution and Pooling, as their two layers in Caffe read them. */

import { warn } from '../base/warn.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { LayerContext } from './builder.ts';
import type { Pair } from './graph.ts';

/** Caffe keeps sizes in an int: what is larger becomes negative there. */
const MAX_INT = 2 ** 31 - 1;

interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pad: Pair;
  readonly dilation: Pair;
}

/** Refuses what no blob can be read by. */
export function checkWindow(context: LayerContext, window: Window): void {
  for (const [name, values] of Object.entries(window)) {
    const least = name === 'pad' ? 0 : 1;
    if (values.some((value: number) => value < least || value > MAX_INT))
      context.fail(
        name,
        `${name} must be from ${least} to 2^31 − 1, found ${values.join('×')}`,
        placeOf(context, name),
      );
  }
  const { kernel, pad, dilation } = window;
  for (const axis of [0, 1] as const)
    if (dilation[axis] * (kernel[axis] - 1) + 1 + 2 * pad[axis] > MAX_INT)
      context.fail(
        'too-large',
        `a ${kernel.join('×')} kernel (dilation ${dilation.join('×')}, pad ${pad.join('×')}) is over 2^31 − 1 pixels wide or high`,
      );
}

function placeOf({ layer }: LayerContext, name: string) {
  const param = (layer.convolution_param ?? layer.pooling_param ?? {}) as Message;
  const fields = [name, `${name}_size`, `${name}_h`, `${name}_w`];
  return positionOf(
    param,
    fields.find((field) => param[field] !== undefined),
  );
}

/**
 * base_conv_layer.cpp (LayerSetUp): `name` once or once an axis, or name_h and name_w, never both kinds.
 * @param missing Where nothing is written; null: something must be.
 */
export function convolutionPair(
  context: LayerContext,
  name: 'kernel' | 'stride' | 'pad' | 'dilation',
  missing: number | null,
): Pair {
  const param: Message = context.layer.convolution_param ?? {};
  const field = name === 'kernel' ? 'kernel_size' : name;
  const list = (param[field] ?? []) as number[];
  const [h, w] = [param[`${name}_h`], param[`${name}_w`]] as (number | undefined)[];
  if (h !== undefined || w !== undefined) {
    const side = h === undefined ? `${name}_w` : `${name}_h`;
    if (list.length > 0)
      context.fail(
        name,
        `gives both ${field} and ${side}; give either ${field} or ${name}_h and ${name}_w`,
        positionOf(param, side),
      );
    // Without a default of its own the other one would be 0, which a pad may be.
    if ((h === undefined || w === undefined) && missing !== 0)
      context.fail(
        name,
        `gives ${side} without ${h === undefined ? `${name}_h` : `${name}_w`}; give both, or ${field}`,
        positionOf(param, side),
      );
    return [h ?? 0, w ?? 0];
  }
  if (list.length === 0 && missing !== null) return [missing, missing];
  if (list.length !== 1 && list.length !== 2)
    context.fail(
      name,
      `${field} must be given once, or once for height and once for width; it is given ${list.length} times`,
      list.length === 0 ? undefined : positionOf(param, field),
    );
  return [list[0]!, list[1] ?? list[0]!];
}

/** pooling_layer.cpp (LayerSetUp): its own rules, which differ. @param size Of the bottom. */
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
