/**
 * Windows of two axes with different pads before and after (synopsys-caffe: pad_t, pad_b, pad_l, pad_r, and pad_type: 1,
 * TensorFlow's SAME). Operations pad opposite sides equally. So they make more windows than requested, and a crop removes
 * the others. A pad that is larger by whole strides starts with the same positions.
 */
import { type Message, positionOf } from '../caffe/message.ts';
import type { Composition, Part } from './compose.ts';
import type { LayerContext } from './layer.ts';
import type { Pair } from './operation.ts';

/** Along height and width. */
export interface Pads {
  readonly before: Pair;
  readonly after: Pair;
}

/** The requested window along one axis. */
export interface UnevenAxis {
  readonly size: number;
  /** Including its dilation. */
  readonly extent: number;
  readonly stride: number;
  readonly before: number;
}

/** A padding with equal sides that includes the same windows. */
export interface EvenAxis {
  readonly pad: number;
  /** The number of windows that it makes. */
  readonly made: number;
  /** The number of windows before the first requested one. */
  readonly skipped: number;
}

export const SIDES = ['pad_t', 'pad_l', 'pad_b', 'pad_r'] as const;

/**
 * The written padding; null if there is none, or if both sides are equal.
 * @param windows Sizes of the bottom, the extent and the stride.
 */
export function padsOfSides(
  context: LayerContext,
  param: Message,
  windows: {
    readonly size: readonly number[];
    readonly extent: readonly number[];
    readonly stride: readonly number[];
  },
): Pads | null {
  const type = (param.pad_type ?? 0) as number;
  const side = SIDES.find((name) => param[name] !== undefined);
  if (type === 0 && side === undefined) return null;
  const at = positionOf(param, type === 0 ? side! : 'pad_type');
  if (windows.size.length !== 2)
    context.fail(
      'pad',
      `${side ?? 'pad_type'} needs two spatial axes, this bottom has ${windows.size.length}`,
      at,
    );
  if (type === 0) {
    const [t, l, b, r] = SIDES.map((name) => (param[name] ?? 0) as number) as [
      number,
      number,
      number,
      number,
    ];
    return { before: [t, l], after: [b, r] };
  }
  const other = ['pad', 'pad_h', 'pad_w', ...SIDES].find((name) => param[name] !== undefined);
  if (type !== 1 || other !== undefined)
    context.fail(
      'pad',
      other === undefined
        ? `pad_type must be 0, or 1 for TensorFlow's SAME, found ${type}`
        : `pad_type: 1 computes the padding itself, but ${other} is also given; keep one`,
      at,
    );
  const whole = windows.size.map((size, i) => {
    const [extent, stride] = [windows.extent[i]!, windows.stride[i]!];
    return Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
  });
  const [h, w] = whole as [number, number];
  const before: Pair = [Math.floor(h / 2), Math.floor(w / 2)];
  return { before, after: [h - before[0], w - before[1]] };
}

/** The smallest equal padding with which `count` windows are among the computed ones, with sizes rounded down. */
export function evenly({ size, extent, stride, before }: UnevenAxis, count: number): EvenAxis {
  const made = Math.floor((size + 2 * before - extent) / stride) + 1;
  // Each additional stride adds a window before the requested ones, and one after them.
  const skipped = Math.max(0, count - made);
  return { pad: before + skipped * stride, skipped, made: made + 2 * skipped };
}

/** A plane with zeros around it. */
export function withZeros(layer: Composition, x: Part, { before, after }: Pads): Part {
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const pad: Pair = [Math.max(before[0], after[0]), Math.max(before[1], after[1])];
  const around = layer.surrounded(x, pad);
  const sizes = [height + before[0] + after[0], width + before[1] + after[1]];
  return layer.one(
    { kind: 'crop', offset: [0, 0, pad[0] - before[0], pad[1] - before[1]] },
    [around],
    [n, channels, ...sizes],
  );
}
