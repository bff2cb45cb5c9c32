/**
 * int8 convolutions as loops over numbers, rounded as native code rounds. The CPU device's own tiles must give the same
 * bits.
 */

/** A feature map of integers, N×C×H×W, and the value of one level. */
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
  return value - floor === 0.5 ? floor + Math.abs(floor % 2) : Math.round(value);
};

const cut = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

/**
 * The float32 nearest to a × b + c, all float32. The product is exact here, and the part that the sum loses decides
 * ties.
 */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  // Knuth's two-sum: the part that the sum loses.
  const part = sum - product;
  const missing = product - (sum - part) + (c - part);
  const rounded = Math.fround(sum);
  if (missing === 0 || rounded === sum) return rounded;
  // The lost part matters only if the sum is halfway between two floats.
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

/** The value of a level for values up to `range`: there are 255 levels if none is negative, else 127. */
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

/** Sums of products, exact, each rounded to float32 once; padding is zeros. */
function sum(
  source: Int32Array | Float32Array,
  [images, channels, height, width]: Levels['shape'],
  weights: Float32Array,
  { outputs, kernel, stride = [1, 1], pad = [0, 0], dilation = 1, group = 1 }: Int8Convolution,
): { sums: Float32Array; size: readonly [number, number] } {
  const [down, across] = kernel;
  const sizeOf = (pixels: number, axis: 0 | 1) =>
    Math.floor((pixels + 2 * pad[axis] - dilation * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  const size = [sizeOf(height, 0), sizeOf(width, 1)] as const;
  const inputs = channels / group;
  const sums = new Float32Array(images * outputs * size[0] * size[1]);
  for (let at = 0; at < sums.length; at++) {
    const [x, y] = [at % size[1], Math.floor(at / size[1]) % size[0]];
    const plane = Math.floor(at / (size[0] * size[1]));
    const [output, image] = [plane % outputs, Math.floor(plane / outputs)];
    const first = image * channels + Math.floor(output / (outputs / group)) * inputs;
    let exact = 0;
    for (let c = 0; c < inputs; c++)
      for (let i = 0; i < down; i++)
        for (let j = 0; j < across; j++) {
          const [row, column] = [
            y * stride[0] + i * dilation - pad[0],
            x * stride[1] + j * dilation - pad[1],
          ];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          const weight = weights[((output * inputs + c) * down + i) * across + j]!;
          exact += source[((first + c) * height + row) * width + column]! * weight;
        }
    sums[at] = exact;
  }
  return { sums, size };
}

/**
 * @param range Of the result, which becomes levels; null: it stays float32.
 * @param isUnsigned Whether a ReLU follows.
 * @param residual Levels, or values if the result stays float32.
 * @returns Values in the result's units, and the same as levels.
 */
export function convolve(
  source: Levels,
  weights: Float32Array,
  bias: Float32Array,
  geometry: Int8Convolution,
  { range, isUnsigned, residual }: { range: number | null; isUnsigned: boolean; residual?: Levels },
): { values: Float32Array; levels: Levels } {
  const { outputs, group = 1 } = geometry;
  const length = weights.length / outputs;
  const ranges = Array.from({ length: outputs }, (_, output) =>
    weights.subarray(output * length, (output + 1) * length).reduce((a, b) => Math.max(a, Math.abs(b)), 0),
  );
  const steps = ranges.map((most) => Math.fround(most / 127) || 1);
  const integers = weights.map((weight, i) =>
    halfToEven(Math.fround(weight * Math.fround(1 / steps[Math.floor(i / length)]!))),
  );
  const { sums, size } = sum(source.values, source.shape, integers, { ...geometry, group });
  const shape = [source.shape[0], outputs, ...size] as const;
  const scale = range === null ? 1 : scaleOf(range, isUnsigned);
  const perUnit = range === null ? 1 : Math.fround(1 / scale);
  const [least, most] = limits(isUnsigned);
  const residualFactor = residual && Math.fround(residual.scale * perUnit);
  const values = sums.map((each, at) => {
    const output = Math.floor(at / (size[0] * size[1])) % outputs;
    const factor = Math.fround(Math.fround(steps[output]! * source.scale) * perUnit);
    let value = fusedMultiplyAdd(each, factor, Math.fround(bias[output]! * perUnit));
    if (residual) value = fusedMultiplyAdd(residual.values[at]!, residualFactor!, value);
    return isUnsigned && range === null ? Math.max(0, value) : value;
  });
  const levels = Int32Array.from(values, (value) => halfToEven(cut(value, least, most)));
  return { values, levels: { shape, scale, values: levels } };
}

/** The levels of a first layer's images, each scaled by its own largest magnitude, and those of its weights. */
const SOURCE_LEVELS = 4095;

/**
 * The first convolution of a net: 12 bits and a sign for each image, and weights with as many levels as sums of 31 bits
 * allow.
 * @param range Of the result; null: it stays float32.
 * @param hasRelu Whether a ReLU follows, so that levels are unsigned.
 */
export function convolveFirst(
  source: Float32Array,
  [images, channels, height, width]: Levels['shape'],
  weights: Float32Array,
  bias: Float32Array,
  geometry: Int8Convolution,
  range: number | null,
  hasRelu = true,
): { values: Float32Array; levels: Levels } {
  const { outputs, kernel } = geometry;
  const length = channels * kernel[0] * kernel[1];
  const weightLevels = Math.min(32767, Math.floor((2 ** 31 - 1) / (SOURCE_LEVELS * length)));
  const scale = range === null ? 1 : scaleOf(range, hasRelu);
  const perUnit = range === null ? 1 : Math.fround(1 / scale);
  const perImage = channels * height * width;
  const made: Float32Array[] = [];
  let shape: Levels['shape'] = [images, outputs, 0, 0];
  for (let image = 0; image < images; image++) {
    const own = source.subarray(image * perImage, (image + 1) * perImage);
    const most = own.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    const perLevel = Math.fround(SOURCE_LEVELS / most);
    const integers = Float32Array.from(own, (value) =>
      halfToEven(cut(Math.fround(value * perLevel), -SOURCE_LEVELS, SOURCE_LEVELS)),
    );
    const ranges = Array.from({ length: outputs }, (_, output) =>
      weights.subarray(output * length, (output + 1) * length).reduce((a, b) => Math.max(a, Math.abs(b)), 0),
    );
    const rounded = weights.map((weight, i) =>
      halfToEven(Math.fround(weight * Math.fround(weightLevels / ranges[Math.floor(i / length)]!))),
    );
    const { sums, size } = sum(integers, [1, channels, height, width], rounded, geometry);
    shape = [images, outputs, ...size];
    made.push(
      sums.map((value, i) => {
        const output = Math.floor(i / (size[0] * size[1]));
        const factor = Math.fround(
          Math.fround(Math.fround(ranges[output]! / weightLevels) * Math.fround(most / SOURCE_LEVELS)) *
            perUnit,
        );
        const result = fusedMultiplyAdd(value, factor, Math.fround(bias[output]! * perUnit));
        return hasRelu ? Math.max(0, result) : result;
      }),
    );
  }
  const values = Float32Array.from(made.flatMap((each) => [...each]));
  const [least, most] = limits(hasRelu);
  const levels = Int32Array.from(values, (value) => halfToEven(cut(value, least, most)));
  return { values, levels: { shape, scale, values: levels } };
}

/** The maximum of each window of k×k levels, none of which is entirely in the padding. */
export function poolMaximum({ shape, values, scale }: Levels, size: number, stride: number, pad = 0): Levels {
  const [images, channels, height, width] = shape;
  const windows = (pixels: number) => Math.ceil((pixels + 2 * pad - size) / stride) + 1;
  const [down, across] = [windows(height), windows(width)];
  const pooled = new Int32Array(images * channels * down * across).map((_, at) => {
    const [plane, y, x] = [Math.floor(at / (down * across)), Math.floor(at / across) % down, at % across];
    let most = Number.NEGATIVE_INFINITY;
    const [top, left] = [y * stride - pad, x * stride - pad];
    for (let row = Math.max(0, top); row < Math.min(height, top + size); row++)
      for (let column = Math.max(0, left); column < Math.min(width, left + size); column++)
        most = Math.max(most, values[(plane * height + row) * width + column]!);
    return most;
  });
  return { shape: [images, channels, down, across], scale, values: pooled };
}
