/**
 * Pooling windows between Caffe and ONNX. Caffe (pooling_layer.cpp) rounds the size up, drops a last window that would
 * start in the far padding, and divides an average by the window clipped to [−pad, size + pad). ONNX
 * (https://onnx.ai/onnx/operators/onnx__AveragePool.html) divides by the kernel's size, or by the positions on the input.
 */
import type { Pair } from '../layers/operation.ts';

export interface CaffePooling {
  readonly method: 'max' | 'average';
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pad: Pair;
}

/** Attributes of MaxPool and AveragePool; pads are top, left, bottom, right. */
export interface OnnxPooling {
  readonly method: 'max' | 'average';
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly pads: readonly [number, number, number, number];
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
}

/** The ONNX form of a pooling of Caffe. */
export type ToOnnx =
  | { readonly kind: 'global' }
  /** `zeros`: the zeros that a Pad adds on every side before the pooling. */
  | {
      readonly kind: 'window';
      readonly zeros: readonly [number, number, number, number];
      readonly window: OnnxPooling;
    }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Explicit pads at the far edge replace Caffe's rounding, so that no program needs to round as Caffe does.
 * @param input Height and width of the bottom.
 * @param output Height and width of the top.
 */
export function poolingToOnnx(pooling: CaffePooling, input: Pair, output: Pair): ToOnnx {
  const { method, kernel, stride, pad } = pooling;
  const axes = [0, 1] as const;
  if (axes.some((i) => (output[i] - 1) * stride[i] >= input[i] + pad[i]))
    return { kind: 'refused', reason: 'its last window is outside the bottom, which ONNX does not allow' };
  if (axes.every((i) => kernel[i] === input[i] && pad[i] === 0 && output[i] === 1)) return { kind: 'global' };
  // The distance that the last window extends beyond the bottom. If it is negative, no padding is needed, because ONNX
  // rounds down.
  const reach = axes.map((i) => Math.max(0, (output[i] - 1) * stride[i] + kernel[i] - input[i] - pad[i]));
  const [bottom, right] = reach as [number, number];
  const window = { method, kernel, strides: stride, ceilMode: false } as const;
  const fits = axes.every((i) => reach[i]! <= pad[i]);
  const isPadded = pad[0] > 0 || pad[1] > 0;
  if (method === 'max' || fits || !isPadded)
    return {
      kind: 'window',
      zeros: [0, 0, 0, 0],
      window: { ...window, pads: [...pad, bottom, right], countIncludePad: fits && isPadded },
    };
  // The average counts the padding, but not the overhang. So zeros come first, then a window that counts positions on them.
  return {
    kind: 'window',
    zeros: [...pad, Math.min(bottom, pad[0]), Math.min(right, pad[1])],
    window: {
      ...window,
      pads: [0, 0, Math.max(0, bottom - pad[0]), Math.max(0, right - pad[1])],
      countIncludePad: false,
    },
  };
}

/** A pooling of Caffe, or the reason why there is none. */
export type FromOnnx =
  | {
      readonly kind: 'pooling';
      /** AVE_EXC_PAD is Synopsys's: a mean over the positions on the bottom. */
      readonly pool: 'MAX' | 'AVE' | 'AVE_EXC_PAD';
      readonly pad: Pair;
      readonly roundMode: 'CEIL' | 'FLOOR';
      /** Synopsys's pad_t, pad_l, pad_b and pad_r, which replace `pad`. */
      readonly sides?: OnnxPooling['pads'];
    }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Finds the pad and round_mode with which Caffe uses the same windows and the same divisors.
 * @param zeros Zeros that a preceding Pad node put on every side.
 * @param input Height and width of the bottom, before those zeros.
 */
export function poolingFromOnnx(pooling: OnnxPooling, zeros: Pair, input: Pair): FromOnnx {
  const { method, kernel, strides, pads, ceilMode, countIncludePad } = pooling;
  const axes = [0, 1] as const;
  const refuse = (reason: string): FromOnnx => bySides(pooling, zeros, input) ?? { kind: 'refused', reason };
  const begin = axes.map((i) => pads[i]!);
  const end = axes.map((i) => pads[i + 2]!);
  if (axes.some((i) => zeros[i] > 0 && begin[i]! > 0))
    return refuse('it pads twice, which Caffe cannot express');
  const pad = axes.map((i) => zeros[i] + begin[i]!);
  const size = axes.map((i) => input[i] + 2 * zeros[i] + begin[i]! + end[i]! - kernel[i]);
  const output = axes.map((i) => {
    const count = (ceilMode ? Math.ceil : Math.floor)(size[i]! / strides[i]) + 1;
    return ceilMode && (count - 1) * strides[i] >= input[i] + 2 * zeros[i] + begin[i]! ? count - 1 : count;
  });
  // Prefers floor if the file rounds down and pads equally, so that other sizes agree too. Otherwise whatever agrees for
  // this size.
  const order = ceilMode || axes.some((i) => end[i] !== begin[i]) ? ['CEIL', 'FLOOR'] : ['FLOOR', 'CEIL'];
  const roundMode = (order as ('CEIL' | 'FLOOR')[]).find((mode) =>
    axes.every((i) => caffeSize(mode, input[i], kernel[i], strides[i], pad[i]!, pad) === output[i]),
  );
  if (roundMode === undefined || axes.some((i) => pad[i]! >= kernel[i]))
    return refuse(
      `its pads ${pads.join(', ')} give ${output.join('×')}, which no pad and round_mode of Caffe give for a bottom of ${input.join('×')}`,
    );
  if (method === 'average') {
    const reach = axes.map((i) => (output[i]! - 1) * strides[i] + kernel[i] - input[i] - pad[i]!);
    if (!countIncludePad && axes.every((i) => zeros[i] === 0))
      return {
        kind: 'pooling',
        pool: axes.every((i) => pad[i] === 0) ? 'AVE' : 'AVE_EXC_PAD',
        pad: pad as [number, number],
        roundMode,
      };
    const isEqual = axes.every((i) =>
      countIncludePad
        ? // Both divide by the kernel's size while windows stay within the padding that Caffe counts.
          reach[i]! <= pad[i]!
        : // ONNX divides by the positions on the input (and on zeros added before); Caffe counts its own pad.
          pad[i] === zeros[i],
    );
    if (!isEqual)
      return refuse(
        `count_include_pad ${countIncludePad ? 1 : 0} divides by ${countIncludePad ? 'the kernel' : 'what lies on the input'}, Caffe by the window clipped to its pad`,
      );
  }
  return {
    kind: 'pooling',
    pool: method === 'max' ? 'MAX' : 'AVE',
    pad: pad as [number, number],
    roundMode,
  };
}

/**
 * Finds a padding for each side. A window that rounding up adds becomes more padding at the far edge.
 * Null if the file counts that padding in a mean, or if a last window is inside the padding and is dropped.
 */
function bySides(
  { method, kernel, strides, pads, ceilMode, countIncludePad }: OnnxPooling,
  zeros: Pair,
  input: Pair,
): FromOnnx | null {
  const sides: [number, number, number, number] = [...pads];
  for (const i of [0, 1] as const) {
    const [before, stride] = [pads[i]!, strides[i]];
    const room = input[i] + before + pads[i + 2]! - kernel[i];
    const more = ceilMode ? (stride - (room % stride)) % stride : 0;
    if (zeros[i] > 0 || room < 0 || (more > 0 && method === 'average' && countIncludePad)) return null;
    sides[i + 2]! += more;
    const last = Math.floor((room + more) / stride) * stride;
    if (Math.max(before, sides[i + 2]!) >= kernel[i] || last >= input[i] + before) return null;
  }
  const pool = method === 'max' ? 'MAX' : countIncludePad ? 'AVE' : 'AVE_EXC_PAD';
  return { kind: 'pooling', pool, pad: [0, 0], roundMode: 'FLOOR', sides };
}

function caffeSize(
  mode: 'CEIL' | 'FLOOR',
  length: number,
  kernel: number,
  stride: number,
  pad: number,
  pads: readonly number[],
): number {
  const round = mode === 'CEIL' ? Math.ceil : Math.floor;
  const count = round((length + 2 * pad - kernel) / stride) + 1;
  return pads.some((each) => each > 0) && (count - 1) * stride >= length + pad ? count - 1 : count;
}
