/** Packages that only some users need and install themselves (`peerDependencies` of package.json). */
import { ResnodeError } from './errors.ts';
import { ownPackage } from './own-package.ts';

/** The command that installs each. */
const COMMANDS = {
  'h5wasm/node': 'npm install h5wasm@0.10',
  'dicom-parser': 'npm install dicom-parser@1.8',
} as const;

/**
 * @param what What needs the package; the beginning of the message.
 * @throws ResnodeError `package/missing` with the command that installs it
 * @throws DeviceError `device/bundled`: a bundle cannot see the packages installed beside resnode
 */
export function needPackage(name: keyof typeof COMMANDS, what: string): void {
  try {
    import.meta.resolve(name);
  } catch (cause) {
    ownPackage();
    const message = `${what} needs the package ${name.split('/')[0]}, which is not installed; install it: ${COMMANDS[name]}`;
    throw new ResnodeError('package/missing', message, { cause });
  }
}
