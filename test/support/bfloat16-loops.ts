/**
 * bfloat16 convolutions as loops over numbers, summed in the order and rounded as native/cpu/tile-bfloat16.h defines,
 * following the definition of VDPBF16PS. The CPU device's own tiles must give the same bits.
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

/**
 * One convolution.
 * @param source N×C×H×W, rounded here.
 * @param weights As in Caffe, rounded here.
 * @param residual In the result's shape, rounded here; null: none.
 * @param slope Of the ReLU for negative values; null: there is none.
 * @param rounded How values are rounded. Default: to bfloat16.
 */
export function convolve(
  source: Float32Array,
  { input, outputs, kernel, stride = [1, 1], pad = [0, 0], dilation = 1, group = 1 }: Filter,
  weights: Float32Array,
  bias: Float32Array,
  residual: Float32Array | null,
  slope: number | null,
  rounded: (value: number) => number = toBfloat16,
): Float32Array {
  const [images, channels, height, width] = input;
  const sizeOf = (size: number, i: 0 | 1) =>
    Math.floor((size + 2 * pad[i] - ((kernel[i] - 1) * dilation + 1)) / stride[i]) + 1;
  const [rows, columns] = [sizeOf(height, 0), sizeOf(width, 1)];
  const [inputs, perGroup] = [channels / group, outputs / group];
  const [x, w] = [source.map(toBfloat16), weights.map(toBfloat16)];
  const blocks = blocksOf(inputs);
  const sumAt = (image: number, output: number, row: number, column: number) => {
    let sum = bias[output]!;
    const firstChannel = Math.floor(output / perGroup) * inputs;
    for (const block of blocks)
      for (let i = 0; i < kernel[0]; i++)
        for (let j = 0; j < kernel[1]; j++) {
          const y = row * stride[0] - pad[0] + i * dilation;
          const at = column * stride[1] - pad[1] + j * dilation;
          if (y < 0 || y >= height || at < 0 || at >= width) continue;
          for (const channel of block)
            sum = addProduct(
              sum,
              x[((image * channels + firstChannel + channel) * height + y) * width + at]!,
              w[((output * inputs + channel) * kernel[0] + i) * kernel[1] + j]!,
            );
        }
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
