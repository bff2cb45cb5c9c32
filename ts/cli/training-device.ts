/** Chooses the device of `resnode train`: from its flags, else from the solver, else from the available devices. */

import { DeviceError, formatPosition } from '../base/errors.ts';
import { positionOf } from '../caffe/message.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import type { Communicator } from '../device/communicator.ts';
import type { Device, DeviceKind } from '../device/device.ts';
import { devices } from '../device/devices.ts';
import { ownGpu } from '../device/local-rank.ts';
import type { Gpus } from './flag-kinds.ts';
import { type DeviceFlags, openFlagged } from './options.ts';

interface Choice {
  readonly device: DeviceKind;
  /** Who requires the device; null if nothing does. */
  readonly asker: string | null;
}

/**
 * @param isDeviceGiven Whether --device is given.
 * @throws DeviceError that names who requires a GPU if none can be opened
 */
export async function openTrainingDevice(
  solver: SolverParameter,
  flags: DeviceFlags & { readonly gpu?: Gpus },
  isDeviceGiven: boolean,
  communicator: Communicator | null,
): Promise<Device> {
  const { device, asker } = choose(solver, flags, isDeviceGiven);
  try {
    return await openFlagged({ ...flags, device }, communicator);
  } catch (error) {
    if (!(error instanceof DeviceError) || asker === null || !device.startsWith('cuda')) throw error;
    throw new DeviceError(error.code, error.device, `${asker}: ${error.message}`, { cause: error });
  }
}

/** The number of processes that --gpu requires: one per GPU. */
export const processesOf = (gpu: Gpus | undefined): number =>
  gpu === undefined ? 1 : gpu === 'all' ? Math.max(1, devices().devices.length) : gpu.length;

// If several processes share a machine, `cuda` without a number means each process's own GPU.
function choose(
  solver: SolverParameter,
  { gpu, device }: { readonly gpu?: Gpus; readonly device: DeviceKind },
  isDeviceGiven: boolean,
): Choice {
  if (gpu !== undefined)
    return { device: gpu === 'all' ? 'cuda' : `cuda:${ownGpu(gpu)}`, asker: `--gpu ${gpu}` };
  if (isDeviceGiven) return { device, asker: null };
  if (solver.solver_mode === undefined) return { device, asker: null };
  if (solver.solver_mode === 'CPU') return { device: 'cpu', asker: null };
  const position = positionOf(solver, 'solver_mode');
  return {
    device: solver.device_id === undefined ? 'cuda' : `cuda:${solver.device_id}`,
    asker: `${position === undefined ? '' : `${formatPosition(position)}: `}solver_mode: GPU`,
  };
}
