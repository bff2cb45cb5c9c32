/** Finds and loads the addon, built here or prebuilt for this platform, and converts its errors. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ErrorCode } from '../base/error-codes.ts';
import { DeviceError, ResnodeError, WeightsError } from '../base/errors.ts';
import { type OwnPackage, ownPackage } from '../base/own-package.ts';
import type { NativeBinding } from './binding.ts';

/** The addon, its file, and the folder that holds it and the backend libraries. */
export interface LoadedBinding {
  readonly binding: NativeBinding;
  readonly path: string;
  readonly folder: string;
  /** Addons that were tried before, and why each does not load. */
  readonly broken: readonly { readonly path: string; readonly reason: string }[];
}

let loaded: LoadedBinding | undefined;

/** @throws DeviceError `device/addon-missing`, `device/bundled` */
export function loadBinding(): LoadedBinding {
  loaded ??= loadFrom(ownPackage());
  return loaded;
}

/** The command that repairs a missing or unsuitable addon. */
export function rebuildCommand({ isCheckout }: Pick<OwnPackage, 'isCheckout'> = ownPackage()): string {
  return isCheckout ? 'npm run build' : 'npm rebuild resnode';
}

function loadFrom(own: OwnPackage): LoadedBinding {
  const require = createRequire(join(own.root, 'package.json'));
  const { findAddons } = require('./scripts/find-addon.cjs') as { findAddons(root: string): string[] };
  const broken = [];
  for (const path of findAddons(own.root)) {
    try {
      return { binding: require(path) as NativeBinding, path, folder: dirname(path), broken };
    } catch (error) {
      broken.push({ path, reason: (error as Error).message.split('\n')[0]! });
    }
  }
  const { platform, arch, versions } = process;
  const found =
    broken.length === 0
      ? `there is none for ${platform}-${arch} with Node ${versions.node}`
      : broken.map(({ path, reason }) => (reason.includes(path) ? reason : `${path}: ${reason}`)).join('; ');
  throw new DeviceError(
    'device/addon-missing',
    'cpu',
    `The native addon could not be loaded: ${found}. ${cure(own)}`,
  );
}

function cure(own: OwnPackage): string {
  if (own.isCheckout) return `Build it: "${rebuildCommand(own)}" in ${own.root}`;
  return (
    `Prebuilt addons are for Linux on x64 and arm64 with glibc 2.34 or later. Elsewhere, or if one is damaged, "${rebuildCommand(own)}" ` +
    'builds it from source and names the tools that this needs. Install in the system that runs it: a node_modules folder ' +
    'copied from another operating system does not fit'
  );
}

/** Converts a native error (an Error with `code`) to one of ours; other errors stay unchanged. */
export function convertError(error: unknown, device: string): unknown {
  // V8's messages about typed arrays that are too long, or for which there is no memory.
  if (
    error instanceof RangeError &&
    /allocation failed|^Invalid (typed )?array (buffer )?length/.test(error.message)
  )
    return new DeviceError(
      'device/out-of-memory',
      device,
      `Not enough memory on ${device}: ${error.message}`,
      {
        cause: error,
      },
    );
  const code = (error as { code?: unknown } | undefined)?.code;
  if (
    error instanceof ResnodeError ||
    !(error instanceof Error) ||
    typeof code !== 'string' ||
    !code.includes('/')
  )
    return error;
  // test/structure compares the codes of native code with the table.
  const known = code as ErrorCode;
  if (code.startsWith('weights/')) return new WeightsError(known, {}, error.message, { cause: error });
  return new DeviceError(known, device, error.message, { cause: error });
}
