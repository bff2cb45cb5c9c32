/** The devices that need neither a GPU nor the emulator. */
import { type Device, openDevice } from '../../ts/index.ts';

/** The reference device, and the CPU device if it is built; otherwise prints why the caller skips it. */
export async function openPlainDevices(): Promise<Device[]> {
  const devices = [await openDevice('reference')];
  try {
    devices.push(await openDevice('cpu', { threads: 2 }));
  } catch (error) {
    console.log(`skipped: the cpu device: ${(error as Error).message}`);
  }
  return devices;
}
