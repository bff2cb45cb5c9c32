/** What could be opened, before it is. */
import { path } from '../base/kinds.ts';
import { internal, optional, options, signature } from '../base/options.ts';
import type { DriverMemory } from '../native/binding.ts';
import { loadBinding } from '../native/load.ts';

/** A GPU that `openDevice` can open by `device`. */
export interface DeviceInfo {
  /** `cuda:0`. */
  readonly device: string;
  readonly name: string;
  /** `9.0`. */
  readonly computeCapability: string;
  readonly memory: DriverMemory;
  /** What the driver says of it, by name: multiprocessors, clock rate and so on. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The GPUs of this machine and what CUDA needs beside them. */
export interface Devices {
  readonly devices: readonly DeviceInfo[];
  /** The CUDA version that the driver supports, e.g. `13.0`; null where no driver was found. */
  readonly driver: string | null;
  /** The CUDA runtime of the library below. */
  readonly runtime: string | null;
  /** libresnode_cuda.so, or libresnode_cuda11.so where the driver is too old for it; null: neither can be opened. */
  readonly library: string | null;
  readonly cudnn: { readonly version: string; readonly path: string } | null;
  /** Every place where cuDNN was looked for: its path, and `opened` or why not. */
  readonly cudnnTried: readonly (readonly [path: string, outcome: string])[];
  /** Why there are none, or why they cannot be opened as they are, and what mends it. */
  readonly problem: string | null;
}

const DEVICES = signature('devices', {
  options: optional(
    options<{ readonly libraryFolder?: string }>({ libraryFolder: internal(path) }),
    'none',
    'Only tests give options.',
  ),
});

/**
 * Looks for GPUs; opens nothing, and never throws for what is missing.
 * @example for (const { device, name, memory } of devices().devices) console.log(device, name, memory.free);
 */
export function devices(options: { /** @internal */ readonly libraryFolder?: string } = {}): Devices {
  DEVICES.check(options);
  const { binding, folder } = loadBinding();
  const list = binding.listDevices('cuda', options.libraryFolder ?? folder);
  return {
    devices: list.devices.map(({ ordinal, properties, ...rest }) => ({
      device: `cuda:${ordinal}`,
      ...rest,
      properties: Object.fromEntries(properties),
    })),
    driver: list.driver,
    runtime: list.runtime,
    library: list.library,
    cudnn: list.cudnnVersion === null ? null : { version: list.cudnnVersion, path: list.cudnnPath ?? '' },
    cudnnTried: list.cudnnTried,
    problem: list.problem,
  };
}
