/** Opens a device of the addon. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { boolean, callback, having, integer, number, oneOf, path } from '../base/kinds.ts';
import { internal, optional, options } from '../base/options.ts';
import type { Warning } from '../base/warn.ts';
import type { NativeDevice, NativeDeviceOptions } from '../native/binding.ts';
import { convertError, loadBinding } from '../native/load.ts';
import type { Communicator } from './communicator.ts';

export const KERNELS = ['AVX-512', 'AVX2', 'NEON', 'oneDNN'] as const;

export interface DeviceOptions {
  /** Threads of the CPU device, 1 to 1024. Default: as many as the process may use. */
  readonly threads?: number;
  /**
   * What computes convolutions on the CPU device: resnode's own loops for one instruction set, or oneDNN. Default: the
   * best of resnode's that the processor has, else oneDNN. oneDNN is not in the package: it is opened when it is first
   * asked for, where it is installed (Debian: libdnnl2). int8 is its too, if it is there, where an x86 processor has no AVX-512
   * VNNI and nothing is named here. `model.plan()` says what computes what.
   */
  readonly kernels?: (typeof KERNELS)[number];
  /**
   * Lets the CPU device compute 3×3 convolutions, and their gradients, by Winograd's algorithms: float32 still, with
   * other roundings, and twice as fast. Default true. In training the shapes alone decide where, and forward they
   * compute only what BatchNorm reads; `kernels: 'oneDNN'` trains without them.
   */
  readonly winograd?: boolean;
  /** The most bytes that models may hold on this device. Default: what the system has. */
  readonly memoryLimit?: number;
  /** Only implementations that give the same bits every time, in all models of this device. Default false. */
  readonly deterministic?: boolean;
  /** CUDA: false computes with resnode's own kernels alone. Default true: without cuDNN the device does not open. */
  readonly cudnn?: boolean;
  /**
   * CUDA: no GPU and no driver are needed; `plan` and `planTraining` tell what a GPU with so many bytes would hold, by the
   * rules of resnode's own kernels (cuDNN may want up to 512 MiB of workspace more). Nothing can be loaded or computed.
   */
  readonly gpuMemory?: number;
  /**
   * False takes the likely best implementations at once. Default true: a convolution that is new to a GPU or a processor
   * is measured when it is first planned, and remembered: on a GPU for a minute a net at most; on the CPU for 1/20 s a 3×3
   * convolution, direct against Winograd's algorithm, whose results differ by roundings. A deterministic CPU device
   * measures nothing.
   */
  readonly tune?: boolean;
  /**
   * Where measured choices are kept from run to run; what is deleted there is measured anew. Default: `resnode` in the
   * user's cache folder.
   */
  readonly cacheFolder?: string;
  /** The processes that nets on this device are trained with: `openCommunicator`. Default none. */
  readonly communicator?: Communicator;
  /**
   * Called with what works and is hardly meant, of every net that the device loads, trains or plans; `model.warnings` has
   * it too. Default: a warning of Node.js (`process.on('warning')`), which prints each once.
   */
  readonly onWarning?: (warning: Warning) => void;
  /** Where backend libraries are looked for, for tests. @internal */
  readonly libraryFolder?: string;
}

/** What `openDevice` takes. */
export const deviceOptions = options<DeviceOptions>({
  threads: optional(
    integer(1, 1024),
    'as many as the process may use',
    'The number of threads of the CPU device.',
  ),
  kernels: optional(
    oneOf(...KERNELS),
    'the fastest that the processor supports',
    'The kernels that compute convolutions on the CPU device.',
  ),
  winograd: optional(
    boolean,
    'true',
    "Lets the CPU device compute 3×3 convolutions by Winograd's algorithms.",
  ),
  memoryLimit: optional(
    number({ above: 0, infinite: true }),
    "the system's memory",
    'The most memory, in bytes, that models may hold on this device.',
  ),
  deterministic: optional(boolean, 'false', 'Uses only implementations that give the same bits every time.'),
  cudnn: optional(boolean, 'true', "Uses cuDNN on a CUDA device; false uses only resnode's own kernels."),
  gpuMemory: optional(
    number({ above: 0 }),
    'opens a GPU',
    'CUDA: plans for a GPU with this many bytes, which need not be present; such a device computes nothing.',
  ),
  tune: optional(
    boolean,
    'true',
    'Measures convolutions that are new to this machine; false chooses the algorithm that is probably fastest.',
  ),
  cacheFolder: optional(
    path,
    "`resnode` in the user's cache folder",
    'The folder that keeps measured choices.',
  ),
  communicator: optional(
    having<Communicator>('a communicator of openCommunicator', 'sum', 'finish'),
    'none',
    "The processes that train together on this device's nets.",
  ),
  onWarning: optional(
    callback<(warning: Warning) => void>(),
    'a warning of Node.js',
    'Called for each warning about a net.',
  ),
  libraryFolder: internal(path),
});

export type NativeKind = 'cpu' | 'cuda' | 'reference';

/** Where measured choices are kept. */
export function cacheFolderOf({ cacheFolder }: DeviceOptions): string {
  // https://specifications.freedesktop.org/basedir-spec/latest/: a relative one is ignored.
  const given = process.env.XDG_CACHE_HOME ?? '';
  const cache = isAbsolute(given) ? given : join(homedir(), '.cache');
  return cacheFolder ?? join(cache, 'resnode');
}

/** @throws DeviceError `device/unavailable` with what was tried */
export function openNative(
  kind: NativeKind,
  name: string,
  options: DeviceOptions & Pick<NativeDeviceOptions, 'threads' | 'winograd' | 'ordinal'>,
): NativeDevice {
  const { binding, folder } = loadBinding();
  try {
    return binding.openDevice(kind, {
      threads: options.threads,
      kernels: options.kernels ?? '',
      winograd: options.winograd,
      ordinal: options.ordinal,
      libraryFolder: options.libraryFolder ?? folder,
      cacheFolder: cacheFolderOf(options),
      deterministic: options.deterministic ?? false,
      cudnn: options.cudnn ?? true,
      planMemory: options.gpuMemory ?? 0,
      communicator: options.communicator?.native ?? null,
    });
  } catch (error) {
    throw convertError(error, name);
  }
}
