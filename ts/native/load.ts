/** Finds and loads the addon: prebuilt for this platform, or built from source. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceError } from '../errors.ts';
import type { NativeBinding } from './binding.ts';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The addon, its file, and the folder that holds it and the backend libraries. */
export interface LoadedBinding {
  readonly binding: NativeBinding;
  readonly path: string;
  readonly folder: string;
}

let loaded: LoadedBinding | undefined;

/** @throws DeviceError `device/addon-missing` */
export function loadBinding(): LoadedBinding {
  if (loaded !== undefined) return loaded;
  try {
    const gyp = require('node-gyp-build') as { resolve(path: string): string };
    const path = gyp.resolve(root);
    loaded = { binding: require(path) as NativeBinding, path, folder: dirname(path) };
    return loaded;
  } catch (error) {
    throw new DeviceError(
      'device/addon-missing',
      'cpu',
      `The native addon could not be loaded (${(error as Error).message}). Build it with "npm run build" in ${root}`,
      { cause: error },
    );
  }
}
