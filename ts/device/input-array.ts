/** What inputs are given as: arrays, buffers, images as bytes of which the device subtracts the mean. */

import { copyOf } from '../base/copy-of.ts';
import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { NativeInput } from '../native/binding.ts';
import { DeviceBuffer } from './buffer.ts';

/** Values of an input blob; uint8 values count as 0–255. With `shape`, other shapes than the loaded one. */
export type InputArray = Float32Array | Uint8Array | DeviceBuffer;

/** Images as bytes, a quarter of what goes to a GPU: the device makes (byte − mean) · scale of them. */
export interface ImageBytes {
  /** N×C×H×W, of at most 4 channels. */
  readonly shape: readonly number[];
  /** A buffer's are bytes that the device has: `device.buffer({ shape, dtype: 'uint8' })`. */
  readonly data: Uint8Array | DeviceBuffer;
  /** One value a channel, or one for all. Default 0. */
  readonly mean?: readonly number[];
  /** Multiplied after the mean was subtracted: one value a channel, or one for all. Default 1. */
  readonly scale?: readonly number[];
}

/** The same as it is run: of each channel. */
interface NormalisedImages {
  readonly bytes: Uint8Array | DeviceBuffer;
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** An input as it is run. */
export type GivenArray = InputArray | NormalisedImages;

const IMAGE_BYTES = ['shape', 'data', 'mean', 'scale'];

/** The most channels of images as bytes: the device's kernels take four numbers of each kind. */
const MOST_CHANNELS = 4;

/**
 * An array with the mean and the scale that its input names, if it does.
 * @param name Of the input, for errors.
 * @throws ArgumentError for a mean or a scale of what is no image of bytes, or does not fit its channels, and for fields
 * beside them that mean nothing
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
  const values = Array.isArray(list) ? Array.from<unknown>(list) : []; // of a hole it has undefined
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

/** What its owner may not write to any more. */
export function copied(array: GivenArray): GivenArray {
  if (array instanceof DeviceBuffer) return array;
  if (!isNormalised(array)) return copyOf(array);
  return array.bytes instanceof DeviceBuffer ? array : { ...array, bytes: copyOf(array.bytes) };
}

/** As native code takes it. */
export function nativeInput(array: GivenArray): NativeInput {
  if (array instanceof DeviceBuffer) return { buffer: array.native, dtype: array.dtype };
  if (!isNormalised(array) || !(array.bytes instanceof DeviceBuffer)) return array as NativeInput;
  return { ...array, bytes: { buffer: array.bytes.native, dtype: array.bytes.dtype } };
}

/** What an array stands for: numbers, where it is bytes with a mean. */
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
