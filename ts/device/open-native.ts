/** Opens a device of the addon. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { boolean, callback, having, integer, number, oneOf, path } from '../base/kinds.ts';
import { internal, optional, options } from '../base/options.ts';
import type { Warning } from '../base/warn.ts';
import type { NativeDevice, NativeDeviceOptions } from '../native/binding.ts';
import { convertError, loadBinding } from '../native/load.ts';
import type { Communicator } from './communicator.ts';

const KERNELS = ['AMX', 'AVX-512', 'AVX2', 'NEON', 'oneDNN'] as const;

export interface DeviceOptions {
  /**
   * Threads of the CPU device, 1 to 1024. Default: as many as the process may keep busy, that is its processors, or the
   * processor time to which a control group limits it.
   */
  readonly threads?: number;
  /**
   * The kernels that compute convolutions on the CPU device: resnode's own loops for one instruction set, or oneDNN. AMX,
   * which multiplies int8 and bfloat16 several times as fast, includes AVX-512. Default: the best of resnode's that the
   * processor supports, else oneDNN. oneDNN is not part of the package: it is opened
   * when it is first needed, if it is installed (Debian: libdnnl2). By default oneDNN also computes int8, if it is
   * installed, on x86 processors without AVX-512 VNNI. `model.plan()` lists the implementation of each operation.
   */
  readonly kernels?: (typeof KERNELS)[number];
  /**
   * Lets the CPU device compute 3×3 convolutions and their gradients by Winograd's algorithms: still in float32, but with
   * other rounding, and about twice as fast. Default true. In training the shapes alone decide which convolutions use them;
   * in the forward pass only those do whose results only BatchNorm reads. `kernels: 'oneDNN'` trains without them.
   */
  readonly winograd?: boolean;
  /** The largest number of bytes that models may hold on this device. Default: the memory of the system. */
  readonly memoryLimit?: number;
  /** Uses only implementations that give the same bits every time, in all models of this device. Default false. */
  readonly deterministic?: boolean;
  /** CUDA: with false, only resnode's own kernels compute. Default true: without cuDNN the device does not open. */
  readonly cudnn?: boolean;
  /**
   * CUDA: plans for a GPU with this many bytes, without a GPU or driver. `plan` and `planTraining` report the memory that
   * the net would use, by the rules of resnode's own kernels (cuDNN may need up to 512 MiB more workspace). Such a device
   * cannot load or compute anything.
   */
  readonly gpuMemory?: number;
  /**
   * With false, convolutions use the probably fastest implementation at once. Default true: a convolution that is new to a
   * GPU or processor is measured when it is first planned, and the choice is kept. On a GPU this takes up to a minute per
   * net; on the CPU 1/20 s per 3×3 convolution, to compare the direct algorithm with Winograd's, whose results differ by
   * rounding. A deterministic CPU device measures nothing.
   */
  readonly tune?: boolean;
  /**
   * The folder that keeps measured choices from run to run; choices that are deleted there are measured again. Default:
   * `resnode` in the user's cache folder.
   */
  readonly cacheFolder?: string;
  /** The processes that train together on this device's nets: the result of `openCommunicator`. Default none. */
  readonly communicator?: Communicator;
  /**
   * Called for each warning about a probable mistake in a net that the device loads, trains or plans; `model.warnings` also
   * has them. Default: a warning of Node.js (`process.on('warning')`), which prints each once.
   */
  readonly onWarning?: (warning: Warning) => void;
  /**
   * Where backend libraries are looked for, for tests.
   * @internal
   */
  readonly libraryFolder?: string;
}

/** The options of `openDevice`. */
export const deviceOptions = options<DeviceOptions>({
  threads: optional(
    integer(1, 1024),
    'as many as the process may keep busy',
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

/** The folder that keeps measured choices. */
export function cacheFolderOf({ cacheFolder }: DeviceOptions): string {
  // https://specifications.freedesktop.org/basedir-spec/latest/ says to ignore a relative path.
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
