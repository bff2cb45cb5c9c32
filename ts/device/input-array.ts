/** The forms of an input: arrays, buffers, and images as bytes from which the device subtracts the mean. */

import { copyOf } from '../base/copy-of.ts';
import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { NativeInput } from '../native/binding.ts';
import { DeviceBuffer } from './buffer.ts';

/** Values of an input blob; uint8 values count as 0–255. Without a `shape` they have the loaded shape. */
export type InputArray = Float32Array | Uint8Array | DeviceBuffer;

/** Images as bytes, which need a quarter of the transfers to a GPU: the device computes (byte − mean) · scale. */
export interface ImageBytes {
  /** The shape N×C×H×W with at most 4 channels. */
  readonly shape: readonly number[];
  /** The bytes; a buffer holds bytes on the device: `device.buffer({ shape, dtype: 'uint8' })`. */
  readonly data: Uint8Array | DeviceBuffer;
  /** One value per channel, or one for all. Default 0. */
  readonly mean?: readonly number[];
  /** The factor after the mean is subtracted: one value per channel, or one for all. Default 1. */
  readonly scale?: readonly number[];
}

/** Images as bytes with one mean and scale per channel. */
interface NormalisedImages {
  readonly bytes: Uint8Array | DeviceBuffer;
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** An input in the form in which it is run. */
export type GivenArray = InputArray | NormalisedImages;

const IMAGE_BYTES = ['shape', 'data', 'mean', 'scale'];

/** The largest number of channels of images as bytes: the device's kernels take four means and four scales. */
const MOST_CHANNELS = 4;

/**
 * Combines an array with the mean and the scale of its input, if there are any.
 * @param name The input's name, for errors.
 * @throws ArgumentError if the mean or scale does not belong to an image of bytes or does not fit its channels, and for
 * unknown fields
 */
export function normalised(
  name: string,
  shape: readonly number[],
  data: InputArray,
  input: Pick<ImageBytes, 'mean' | 'scale'>,
): GivenArray {
  const { mean, scale } = input;
  if (mean === undefined && scale === undefined) return data;
  const channels = shape.length === 4 ? shape[1]! : 0;
  if (!areBytes(data) || channels < 1 || channels > MOST_CHANNELS)
    throw new ArgumentError(
      `input "${name}" with a mean or a scale`,
      `a Uint8Array or a uint8 DeviceBuffer of N×C×H×W, of at most ${MOST_CHANNELS} channels`,
      areBytes(data) ? shape.join('×') : data,
      data instanceof DeviceBuffer && data.dtype !== 'uint8'
        ? `the buffer has ${data.dtype}: device.buffer({ shape, dtype: 'uint8' }) makes one of bytes`
        : undefined,
    );
  const stray = Object.keys(input).find((field) => !IMAGE_BYTES.includes(field));
  if (stray !== undefined)
    throw new ArgumentError(
      `the fields of input "${name}" with a mean or a scale`,
      IMAGE_BYTES.join(', '),
      stray,
      stray === 'std' ? 'the scale is 1 / std' : didYouMean(stray, IMAGE_BYTES),
    );
  const values = (what: string, list: unknown) =>
    channelValues(`the ${what} of input "${name}"`, list, channels);
  return {
    bytes: data,
    mean: values('mean', mean === undefined ? [0] : mean),
    scale: values('scale', scale === undefined ? [1] : scale),
  };
}

function channelValues(what: string, list: unknown, channels: number): Float32Array {
  const values = Array.isArray(list) ? Array.from<unknown>(list) : []; // Array.from turns holes into undefined
  const fits = values.length === 1 || values.length === channels;
  if (!fits || !values.every(isFiniteFloat))
    throw new ArgumentError(
      what,
      channels === 1
        ? 'a list of one number that is finite in float32'
        : `a list of 1 or ${channels} numbers that are finite in float32`,
      list,
      ArrayBuffer.isView(list) ? 'Array.from(values) makes a list of them' : undefined,
    );
  return Float32Array.from({ length: channels }, (_, c) => values[c] ?? values[0]!);
}

const isFiniteFloat = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(Math.fround(value));

const areBytes = (data: InputArray): data is Uint8Array | DeviceBuffer =>
  data instanceof DeviceBuffer ? data.dtype === 'uint8' : data instanceof Uint8Array;

const isNormalised = (array: GivenArray): array is NormalisedImages =>
  !ArrayBuffer.isView(array) && !(array instanceof DeviceBuffer);

/** A copy that the owner of the array cannot modify. */
export function copied(array: GivenArray): GivenArray {
  if (array instanceof DeviceBuffer) return array;
  if (!isNormalised(array)) return copyOf(array);
  return array.bytes instanceof DeviceBuffer ? array : { ...array, bytes: copyOf(array.bytes) };
}

/** The input in the addon's form. */
export function nativeInput(array: GivenArray): NativeInput {
  if (array instanceof DeviceBuffer) return { buffer: array.native, dtype: array.dtype };
  if (!isNormalised(array) || !(array.bytes instanceof DeviceBuffer)) return array as NativeInput;
  return { ...array, bytes: { buffer: array.bytes.native, dtype: array.bytes.dtype } };
}

/** The numbers that an input stands for, computed if it is bytes with a mean. */
export async function numbersOf(
  array: GivenArray,
  [images, channels]: readonly number[],
): Promise<InputArray> {
  if (!isNormalised(array)) return array;
  const { mean, scale } = array;
  const bytes = array.bytes instanceof DeviceBuffer ? await array.bytes.download() : array.bytes;
  const plane = bytes.length / (images! * channels!);
  return Float32Array.from(bytes, (byte, i) => {
    const channel = Math.floor(i / plane) % channels!;
    return Math.fround(byte - mean[channel]!) * scale[channel]!;
  });
}
