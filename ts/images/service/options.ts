/** Options of all services for images: a device, batches, a queue. */
import { either, integer, number, oneOf } from '../../base/kinds.ts';
import { optional, type Table } from '../../base/options.ts';
import { type Device, type DeviceKind, deviceKind, deviceLike, openDevice } from '../../device/device.ts';
import type { LoadOptions } from '../../device/load-options.ts';
import { type DecodeLimits, limitRows } from '../decode.ts';

/** How images are accepted and computed. */
export interface ServiceOptions extends DecodeLimits {
  /** The device to compute on: an argument of `openDevice`, or a Device, which stays the caller's. Default `auto`. */
  readonly device?: DeviceKind | Device;
  /** The threads of a CPU device that the service opens. Default: as many as the process may keep busy. */
  readonly threads?: number;
  /** As for `device.load`. Default `float32`. */
  readonly precision?: LoadOptions['precision'];
  /** The largest number of images in a run, 1 to 256: 1, 2, 4, … up to it are compiled when the service opens. Default 8. */
  readonly maxBatch?: number;
  /** The milliseconds that an image waits for a full batch, at most an hour. Default 0: waiting images run as soon as the device is free. */
  readonly maxDelay?: number;
  /** The number of images that may wait or be in progress; further images are refused as busy. Default 256. */
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
    'as many as the process may keep busy',
    'The number of threads of the CPU device.',
  ),
  precision: optional(
    oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
    'float32',
    'The type in which activations and weights are stored and multiplied.',
  ),
  maxBatch: optional(integer(1, 256), '8', 'The largest number of images in one run.'),
  maxDelay: optional(
    number({ from: 0, to: 3_600_000 }),
    '0',
    'How long an image waits for a full batch, in milliseconds.',
  ),
  maxQueue: optional(
    integer(1),
    '256',
    'How many images may wait or be in progress; further images are refused.',
  ),
};

/** Creates something on the device of the options. If that fails, a device that was opened for it is closed. */
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

/** The number of batches in progress at once: a GPU computes one while the next is copied; a CPU has nothing to overlap. */
export const concurrencyOf = (device: Device): number => (device.kind === 'cuda' ? 2 : 1);
