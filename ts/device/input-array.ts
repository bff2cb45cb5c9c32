/** What inputs are given as: arrays, buffers, images as bytes of which the device subtracts the mean. */

import { copyOf } from '../base/copy-of.ts';
import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { NormalisedBytes } from '../native/binding.ts';
import { DeviceBuffer } from './buffer.ts';

/** Values of an input blob; uint8 values count as 0–255. With `shape`, other shapes than the loaded one. */
export type InputArray = Float32Array | Uint8Array | DeviceBuffer;

/** Images as bytes, a quarter of what goes to a GPU: the device makes (byte − mean) · scale of them. */
export interface ImageBytes {
  /** N×C×H×W, of at most 4 channels. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  /** One value a channel, or one for all. Default 0. */
  readonly mean?: readonly number[];
  /** Multiplied after the mean was subtracted: one value a channel, or one for all. Default 1. */
  readonly scale?: readonly number[];
}

/** An input as it is run. */
export type GivenArray = InputArray | NormalisedBytes;

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
  if (!(data instanceof Uint8Array) || channels < 1 || channels > MOST_CHANNELS)
    throw new ArgumentError(
      `input "${name}" with a mean or a scale`,
      `a Uint8Array of N×C×H×W, of at most ${MOST_CHANNELS} channels,`,
      data instanceof Uint8Array ? shape.join('×') : data,
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
        ? 'a list of one number, finite as float32,'
        : `a list of 1 or ${channels} numbers, finite as float32,`,
      list,
      ArrayBuffer.isView(list) ? 'Array.from(values) makes a list of them' : undefined,
    );
  return Float32Array.from({ length: channels }, (_, c) => values[c] ?? values[0]!);
}

const isFiniteFloat = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(Math.fround(value));

const isNormalised = (array: GivenArray): array is NormalisedBytes =>
  !ArrayBuffer.isView(array) && !(array instanceof DeviceBuffer);

/** What its owner may not write to any more. */
export function copied(array: GivenArray): GivenArray {
  if (array instanceof DeviceBuffer) return array;
  return isNormalised(array) ? { ...array, bytes: copyOf(array.bytes) } : copyOf(array);
}

/** What an array stands for: numbers, where it is bytes with a mean. */
export function numbersOf(array: GivenArray, [images, channels]: readonly number[]): InputArray {
  if (!isNormalised(array)) return array;
  const { bytes, mean, scale } = array;
  const plane = bytes.length / (images! * channels!);
  return Float32Array.from(bytes, (byte, i) => {
    const channel = Math.floor(i / plane) % channels!;
    return Math.fround(byte - mean[channel]!) * scale[channel]!;
  });
}
