/** What inputs are given as: arrays, buffers, images as bytes of which the device subtracts the mean. */

import { ArgumentError } from '../base/errors.ts';
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

/** The most channels of images as bytes: the device's kernels take four numbers of each kind. */
const MOST_CHANNELS = 4;

/**
 * An array with the mean and the scale that its input names, if it does.
 * @param name Of the input, for errors.
 * @throws ArgumentError for a mean or a scale of what is no image of bytes, or does not fit its channels
 */
export function normalised(
  name: string,
  shape: readonly number[],
  data: InputArray,
  { mean, scale }: Pick<ImageBytes, 'mean' | 'scale'>,
): GivenArray {
  if (mean === undefined && scale === undefined) return data;
  const channels = shape.length === 4 ? shape[1]! : 0;
  if (!(data instanceof Uint8Array) || channels < 1 || channels > MOST_CHANNELS)
    throw new ArgumentError(
      `input "${name}" with a mean or a scale`,
      `a Uint8Array of N×C×H×W, of at most ${MOST_CHANNELS} channels,`,
      data instanceof Uint8Array ? shape.join('×') : data,
    );
  const values = (what: string, list: unknown, other: number) =>
    channelValues(`the ${what} of input "${name}"`, list ?? [other], channels);
  return { bytes: data, mean: values('mean', mean, 0), scale: values('scale', scale, 1) };
}

function channelValues(what: string, list: unknown, channels: number): Float32Array {
  const fits =
    Array.isArray(list) && (list.length === 1 || list.length === channels) && list.every(Number.isFinite);
  if (!fits)
    throw new ArgumentError(
      what,
      channels === 1 ? 'a list of one finite number' : `a list of 1 or ${channels} finite numbers`,
      list,
    );
  return Float32Array.from({ length: channels }, (_, c) => list[c] ?? list[0]);
}

const isNormalised = (array: GivenArray): array is NormalisedBytes =>
  !ArrayBuffer.isView(array) && !(array instanceof DeviceBuffer);

/** What its owner may not write to any more. */
export function copied(array: GivenArray): GivenArray {
  if (array instanceof DeviceBuffer) return array;
  return isNormalised(array) ? { ...array, bytes: array.bytes.slice() } : array.slice();
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
