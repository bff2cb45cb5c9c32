/**
 * Convolutions of 8-bit integers as loops over numbers, rounded as native code rounds: what the CPU device's own tiles
 * must make, bit by bit.
 */

/** A feature map of integers, N×C×H×W, and what a level is worth. */
export interface Levels {
  readonly shape: readonly [number, number, number, number];
  readonly values: Int32Array;
  readonly scale: number;
}

export interface Int8Convolution {
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly pad?: readonly [number, number];
  readonly dilation?: number;
  readonly group?: number;
}

export const halfToEven = (value: number): number => {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
};

const cut = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

/** The float32 nearest to a × b + c, all float32: the product is exact here, and what the sum loses decides ties. */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  // Knuth's two-sum: what is missing of the sum.
  const part = sum - product;
  const missing = product - (sum - part) + (c - part);
  const rounded = Math.fround(sum);
  if (missing === 0 || rounded === sum) return rounded;
  // Only where the sum lies halfway between two floats does what is missing matter.
  const other = rounded < sum ? nextFloat(rounded, 1) : nextFloat(rounded, -1);
  if (sum - rounded !== other - sum) return rounded;
  return missing > 0 === rounded < other ? other : rounded;
}

function nextFloat(value: number, direction: 1 | -1): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  if (value === 0) return direction * 2 ** -149;
  bits[0]! += value > 0 === direction > 0 ? 1 : -1;
  return float[0]!;
}

const limits = (isUnsigned: boolean) => (isUnsigned ? ([0, 255] as const) : ([-128, 127] as const));

/** What a level of values up to `range` is worth: 255 of them where none is negative, else 127. */
export const scaleOf = (range: number, isUnsigned: boolean): number =>
  Math.fround(Math.fround(range) / (isUnsigned ? 255 : 127));

export function quantise(
  values: Float32Array,
  shape: Levels['shape'],
  range: number,
  isUnsigned: boolean,
): Levels {
  const scale = scaleOf(range, isUnsigned);
  const perUnit = Math.fround(1 / scale);
  const [least, most] = limits(isUnsigned);
  return {
    shape,
    scale,
    values: Int32Array.from(values, (value) => halfToEven(cut(Math.fround(value * perUnit), least, most))),
  };
}

/**
 * @param range Of the result, which becomes levels; null: it stays float32.
 * @param isUnsigned Whether a ReLU is behind it.
 * @param residual Levels, or values where the result stays float32.
 * @returns Values in the result's units, and the same as levels.
 */
export function convolve(
  source: Levels,
  weights: Float32Array,
  bias: Float32Array,
  { outputs, kernel, stride = [1, 1], pad = [0, 0], dilation = 1, group = 1 }: Int8Convolution,
  { range, isUnsigned, residual }: { range: number | null; isUnsigned: boolean; residual?: Levels },
): { values: Float32Array; levels: Levels } {
  const [images, channels, height, width] = source.shape;
  const [down, across] = kernel;
  const size = (pixels: number, axis: 0 | 1) =>
    Math.floor((pixels + 2 * pad[axis] - dilation * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  const shape = [images, outputs, size(height, 0), size(width, 1)] as const;
  const inputs = channels / group;
  const length = inputs * down * across;
  const scale = range === null ? 1 : scaleOf(range, isUnsigned);
  const perUnit = range === null ? 1 : Math.fround(1 / scale);
  const [least, most] = limits(isUnsigned);
  const values = new Float32Array(shape.reduce((a, b) => a * b));
  const residualFactor = residual && Math.fround(residual.scale * perUnit);
  for (let output = 0, at = 0; output < outputs; output++) {
    const own = weights.subarray(output * length, (output + 1) * length);
    const level = Math.fround(own.reduce((a, b) => Math.max(a, Math.abs(b)), 0) / 127) || 1;
    const integers = own.map((weight) => halfToEven(Math.fround(weight * Math.fround(1 / level))));
    const factor = Math.fround(Math.fround(level * source.scale) * perUnit);
    const offset = Math.fround(bias[output]! * perUnit);
    const first = Math.floor(output / (outputs / group)) * inputs;
    for (let image = 0; image < images; image++)
      for (let y = 0; y < shape[2]; y++)
        for (let x = 0; x < shape[3]; x++) {
          let sum = 0;
          for (let c = 0; c < inputs; c++)
            for (let i = 0; i < down; i++)
              for (let j = 0; j < across; j++) {
                const row = y * stride[0] + i * dilation - pad[0];
                const column = x * stride[1] + j * dilation - pad[1];
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                const from = ((image * channels + first + c) * height + row) * width + column;
                sum += source.values[from]! * integers[(c * down + i) * across + j]!;
              }
          at = ((image * outputs + output) * shape[2] + y) * shape[3] + x;
          let value = fusedMultiplyAdd(Math.fround(sum), factor, offset);
          if (residual) value = fusedMultiplyAdd(residual.values[at]!, residualFactor!, value);
          values[at] = isUnsigned && range === null ? Math.max(0, value) : value;
        }
  }
  const levels = Int32Array.from(values, (value) => halfToEven(cut(value, least, most)));
  return { values, levels: { shape, scale, values: levels } };
}
