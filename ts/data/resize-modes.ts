/** OpenCV's other ways to resize (modules/imgproc/src/resize.cpp); native code resizes bilinearly. */

import { type Pixels, resizePixels } from './pixels.ts';

export const RESIZE_MODES = ['LINEAR', 'AREA', 'NEAREST', 'CUBIC', 'LANCZOS4'] as const;
export type ResizeMode = (typeof RESIZE_MODES)[number];

/** The source pixels and weights of one position in a row or column. */
interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/**
 * Resizes images of bytes to a size, by a mode.
 * @returns Interleaved pixels.
 */
export async function resizeBy(
  pixels: Pixels,
  { width, height }: { width: number; height: number },
  mode: ResizeMode,
): Promise<Pixels> {
  if (mode === 'LINEAR') return resizePixels(pixels, width, height);
  // OpenCV averages areas if both sides shrink, and interpolates if one grows.
  const shrinks = width <= pixels.width && height <= pixels.height;
  const columns = tapsOf(pixels.width, width, mode, shrinks);
  const rows = tapsOf(pixels.height, height, mode, shrinks);
  const channels = pixels.offsets.length;
  const between = new Float32Array(pixels.height * width * channels);
  const { data, offsets, rowStride, pixelStride } = pixels;
  for (let y = 0, to = 0; y < pixels.height; y++)
    for (const { first, weights } of columns)
      for (let c = 0; c < channels; c++, to++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          const x = Math.min(Math.max(first + k, 0), pixels.width - 1);
          sum += weights[k]! * data[offsets[c]! + y * rowStride + x * pixelStride]!;
        }
        between[to] = sum;
      }
  // A Uint8ClampedArray rounds as OpenCV does: to the nearest, halves to even.
  const made = new Uint8ClampedArray(width * height * channels);
  const stride = width * channels;
  rows.forEach(({ first, weights }, y) => {
    for (let i = 0; i < stride; i++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++)
        sum += weights[k]! * between[Math.min(Math.max(first + k, 0), pixels.height - 1) * stride + i]!;
      made[y * stride + i] = sum;
    }
  });
  return {
    data: new Uint8Array(made.buffer),
    width,
    height,
    offsets: offsets.map((_, c) => c),
    rowStride: stride,
    pixelStride: channels,
  };
}

function tapsOf(from: number, to: number, mode: ResizeMode, shrinks: boolean): Taps[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, i): Taps => {
    if (mode === 'NEAREST') return { first: Math.min(Math.floor(i * scale), from - 1), weights: [1] };
    if (mode === 'AREA') return shrinks ? areaTaps(i * scale, (i + 1) * scale) : areaGrown(i, scale);
    const at = (i + 0.5) * scale - 0.5;
    const first = Math.floor(at);
    return mode === 'CUBIC'
      ? { first: first - 1, weights: cubic(at - first) }
      : { first: first - 3, weights: lanczos(at - first) };
  });
}

function areaTaps(begin: number, end: number): Taps {
  const first = Math.floor(begin + 1e-3);
  const last = Math.max(first, Math.ceil(end - 1e-3) - 1);
  const shares = Array.from(
    { length: last - first + 1 },
    (_, k) => Math.min(end, first + k + 1) - Math.max(begin, first + k),
  );
  const sum = shares.reduce((total, share) => total + share, 0);
  return { first, weights: shares.map((share) => share / sum) };
}

function areaGrown(i: number, scale: number): Taps {
  const first = Math.floor(i * scale);
  const beyond = i + 1 - (first + 1) / scale;
  const share = beyond <= 0 ? 0 : beyond - Math.floor(beyond);
  return { first, weights: [1 - share, share] };
}

/** Keys' kernel with a = −0.75. */
function cubic(t: number): number[] {
  const a = -0.75;
  const outer = (d: number) => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  const inner = (d: number) => ((a + 2) * d - (a + 3)) * d * d + 1;
  return [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)];
}

/** Lanczos' window of eight. */
function lanczos(t: number): number[] {
  const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const weights = Array.from({ length: 8 }, (_, k) => sinc(t + 3 - k) * sinc((t + 3 - k) / 4));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
