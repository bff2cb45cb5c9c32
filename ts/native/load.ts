/** Finds and loads the addon: prebuilt for this platform, or built from source. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceError } from '../errors.ts';
import type { NativeBinding } from './binding.ts';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

let loaded: { binding: NativeBinding; folder: string } | undefined;

/** The addon and the folder that holds it (and the backend libraries). @throws DeviceError `device/addon-missing` */
export function loadBinding(): { binding: NativeBinding; folder: string } {
  if (loaded !== undefined) return loaded;
  try {
    const gyp = require('node-gyp-build') as { resolve(path: string): string };
    const path = gyp.resolve(root);
    loaded = { binding: require(path) as NativeBinding, folder: dirname(path) };
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
