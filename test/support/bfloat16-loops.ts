/**
 * bfloat16 convolutions as loops over numbers. They are summed in the order and rounded as native/cpu/tile-bfloat16.h
 * defines, following VDPBF16PS, or as native/cpu/tile-matrix.h does, following TDPBF16PS. The CPU device must give the same
 * bits.
 */
import type { Filter } from '../cpu/filter-cases.ts';
import { fusedMultiplyAdd } from './int8-loops.ts';

const LEAST_NORMAL = 2 ** -126;
const LANES = 16;
/** A source with so few channels is read as planes. */
const FEW_CHANNELS = 4;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Subnormal numbers become 0 with their sign. */
const flushed = (x: number) => (Math.abs(x) < LEAST_NORMAL ? 0 * Math.sign(x) : x);

/** The nearest bfloat16, ties to even. */
export function toBfloat16(x: number): number {
  float[0] = x;
  if (Number.isNaN(x) || flushed(float[0]!) === 0) return flushed(float[0]!);
  const kept = bits[0]! >>> 16;
  const rest = bits[0]! & 0xffff;
  const up = rest > 0x8000 || (rest === 0x8000 && kept % 2 === 1);
  bits[0] = (kept + Number(up)) << 16;
  return float[0]!;
}

/** a × b + c, as VDPBF16PS adds it to one sum. */
const addProduct = (c: number, a: number, b: number) =>
  flushed(fusedMultiplyAdd(flushed(a), flushed(b), flushed(c)));

const flushedSum = (a: number, b: number) => flushed(Math.fround(flushed(a) + flushed(b)));

/** The channels of a group in the order of summation, in blocks that share the loop over taps. */
function blocksOf(channels: number): number[][] {
  const perBlock = channels <= FEW_CHANNELS ? 2 : LANES;
  return Array.from({ length: Math.ceil(channels / perBlock) }, (_, block) => {
    const order: number[] = [];
    for (let first = block * perBlock; first < Math.min((block + 1) * perBlock, channels); first += 2) {
      if (first + 1 < channels) order.push(first + 1);
      order.push(first);
    }
    return order;
  });
}

/** How sums are computed: by tiles, or by products of matrices. */
export type Summation = 'tiles' | 'matrices';

/** A channel and a tap of a window, which contribute one product to a sum. */
interface Term {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/**
 * The terms in the order of summation for matrices: by step, and in a step those with even and those with odd positions. A
 * step has two blocks with the same tap or, if there is only one block, two taps; with few channels it has a row of taps.
 */
function stepsOf(channels: number, [rows, columns]: readonly [number, number]): Term[][][] {
  if (channels <= FEW_CHANNELS)
    return Array.from({ length: rows }, (_, row) =>
      [0, 1].map((odd) =>
        Array.from({ length: columns * 2 }, (_, i) => ({
          channel: (i % 2) * 2 + odd,
          row,
          column: i >> 1,
        })).filter(({ channel }) => channel < channels),
      ),
    );
  const blocks = Math.ceil(channels / LANES);
  const taps = Array.from(
    { length: rows * columns },
    (_, i) => [Math.floor(i / columns), i % columns] as const,
  );
  const parts = [];
  if (blocks === 1) for (const tap of taps) parts.push([0, tap] as const);
  else
    for (let block = 0; block < blocks; block += 2)
      for (const tap of taps) parts.push([block, tap] as const, [block + 1, tap] as const);
  const steps: Term[][][] = [];
  parts.forEach(([block, [row, column]], i) => {
    if (i % 2 === 0) steps.push([[], []]);
    for (let lane = 0; lane < LANES; lane++)
      if (block * LANES + lane < channels)
        steps.at(-1)![lane % 2]!.push({ channel: block * LANES + lane, row, column });
  });
  return steps;
}

/**
 * One convolution.
 * @param source N×C×H×W, rounded here.
 * @param weights As in Caffe, rounded here.
 * @param residual In the result's shape, rounded here; null: none.
 * @param slope Of the ReLU for negative values; null: there is none.
 * @param rounded How values are rounded. Default: to bfloat16.
 * @param summation Default: by tiles.
 */
export function convolve(
  source: Float32Array,
  { input, outputs, kernel, stride = [1, 1], pad = [0, 0], dilation = 1, group = 1 }: Filter,
  weights: Float32Array,
  bias: Float32Array,
  residual: Float32Array | null,
  slope: number | null,
  rounded: (value: number) => number = toBfloat16,
  summation: Summation = 'tiles',
): Float32Array {
  const [images, channels, height, width] = input;
  const sizeOf = (size: number, i: 0 | 1) =>
    Math.floor((size + 2 * pad[i] - ((kernel[i] - 1) * dilation + 1)) / stride[i]) + 1;
  const [rows, columns] = [sizeOf(height, 0), sizeOf(width, 1)];
  const [inputs, perGroup] = [channels / group, outputs / group];
  const [x, w] = [source.map(toBfloat16), weights.map(toBfloat16)];
  const blocks = blocksOf(inputs);
  const steps = stepsOf(inputs, kernel);
  const sumAt = (image: number, output: number, row: number, column: number) => {
    const firstChannel = Math.floor(output / perGroup) * inputs;
    const add = (sum: number, { channel, row: i, column: j }: Term) => {
      const y = row * stride[0] - pad[0] + i * dilation;
      const at = column * stride[1] - pad[1] + j * dilation;
      if (y < 0 || y >= height || at < 0 || at >= width) return sum;
      return addProduct(
        sum,
        x[((image * channels + firstChannel + channel) * height + y) * width + at]!,
        w[((output * inputs + channel) * kernel[0] + i) * kernel[1] + j]!,
      );
    };
    let sum = bias[output]!;
    if (summation === 'matrices') {
      for (const [even, odd] of steps)
        sum = flushedSum(sum, flushedSum(even!.reduce(add, 0), odd!.reduce(add, 0)));
      return sum;
    }
    for (const block of blocks)
      for (let i = 0; i < kernel[0]; i++)
        for (let j = 0; j < kernel[1]; j++)
          for (const channel of block) sum = add(sum, { channel, row: i, column: j });
    return sum;
  };
  return Float32Array.from({ length: images * outputs * rows * columns }, (_, index) => {
    const [column, row] = [index % columns, Math.floor(index / columns) % rows];
    const [output, image] = [
      Math.floor(index / columns / rows) % outputs,
      Math.floor(index / columns / rows / outputs),
    ];
    let value = sumAt(image, output, row, column);
    if (residual !== null) value = flushed(Math.fround(value + toBfloat16(residual[index]!)));
    if (slope !== null && value < 0) value = Math.fround(value * slope) + 0;
    return rounded(value);
  });
}
