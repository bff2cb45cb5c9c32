/** The devices that need no GPU and no emulator. */
import { type Device, openDevice } from '../../ts/index.ts';

/** The reference, and the CPU device where it is built: prints why the caller skips it where it is not. */
export async function openPlainDevices(): Promise<Device[]> {
  const devices = [await openDevice('reference')];
  try {
    devices.push(await openDevice('cpu', { threads: 2 }));
  } catch (error) {
    console.log(`skipped: the cpu device: ${(error as Error).message}`);
  }
  return devices;
}
