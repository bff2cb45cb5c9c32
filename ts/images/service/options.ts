/** What everything that answers for images is opened with: a device, batches, a queue. */
import { either, integer, number, oneOf } from '../../base/kinds.ts';
import { optional, type Table } from '../../base/options.ts';
import { type Device, type DeviceKind, deviceKind, deviceLike, openDevice } from '../../device/device.ts';
import type { LoadOptions } from '../../device/load-options.ts';
import { type DecodeLimits, limitRows } from '../decode.ts';

/** How images are taken and computed. */
export interface ServiceOptions extends DecodeLimits {
  /** Where to compute: what `openDevice` takes, or a Device, which stays the caller's. Default `auto`. */
  readonly device?: DeviceKind | Device;
  /** Threads of a CPU device that is opened for it. Default: as many as the process may use. */
  readonly threads?: number;
  /** As for `device.load`. Default `float32`. */
  readonly precision?: LoadOptions['precision'];
  /** The most images of a run, 1 to 256: 1, 2, 4, … up to it are compiled at opening. Default 8. */
  readonly maxBatch?: number;
  /** Milliseconds that an image waits for a full batch. Default 0: what waits is run as soon as the device is free. */
  readonly maxDelay?: number;
  /** Images that may wait or be under way; one more is refused as busy. Default 256. */
  readonly maxQueue?: number;
}

export const serviceRows: Table<ServiceOptions> = {
  ...limitRows,
  device: optional(
    either(deviceKind, deviceLike),
    'auto',
    'The device to compute on: a kind of openDevice, or a Device.',
  ),
  threads: optional(
    integer(1, 1024),
    'as many as the process may use',
    'The number of threads of the CPU device.',
  ),
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
    'float32',
    'The type in which activations and weights are stored and multiplied.',
  ),
  maxBatch: optional(integer(1, 256), '8', 'The largest number of images in one run.'),
  maxDelay: optional(number({ from: 0 }), '0', 'How long an image waits for a full batch, in milliseconds.'),
  maxQueue: optional(
    integer(1),
    '256',
    'How many images may wait or be in progress; further images are refused.',
  ),
};

/** Makes something on the device of the options; one that was opened for it is closed where that fails. */
export async function onDevice<T>(
  { device: where = 'auto', threads }: ServiceOptions,
  make: (device: Device, isOwned: boolean) => Promise<T>,
): Promise<T> {
  if (typeof where === 'object') return make(where, false);
  const device = await openDevice(where, threads === undefined ? {} : { threads });
  try {
    return await make(device, true);
  } catch (error) {
    device.dispose();
    throw error;
  }
}

/** The batch sizes that are compiled: powers of 2, and the largest. */
export function batchSizes(most: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, i) => 2 ** i);
  return powers.at(-1) === most ? powers : [...powers, most];
}

/** Batches under way at once: a GPU computes one while the next is copied; a CPU has nothing left to overlap. */
export const concurrencyOf = (device: Device): number => (device.kind === 'cuda' ? 2 : 1);
