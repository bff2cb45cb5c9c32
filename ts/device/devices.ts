/** Lists the GPUs of this machine without opening them. */
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
  /** The driver's description, by name: multiprocessors, clock rate and so on. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The GPUs of this machine and the software that CUDA needs. */
export interface Devices {
  readonly devices: readonly DeviceInfo[];
  /** The CUDA version that the driver supports, e.g. `13.0`; null where no driver was found. */
  readonly driver: string | null;
  /** The CUDA runtime of the library below. */
  readonly runtime: string | null;
  /** libresnode_cuda.so, or libresnode_cuda11.so for an older driver; null if neither can be opened. */
  readonly library: string | null;
  readonly cudnn: { readonly version: string; readonly path: string } | null;
  /** All paths where cuDNN was looked for, each with `opened` or the reason for the failure. */
  readonly cudnnTried: readonly (readonly [path: string, outcome: string])[];
  /** Why there are no GPUs, or why they cannot be opened, and the remedy. */
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
 * Lists the GPUs. It opens nothing and never throws because something is missing.
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
