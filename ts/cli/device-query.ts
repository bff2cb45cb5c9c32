/** `resnode device-query`: Caffe's `caffe device_query`. */

import { Command } from 'commander';
import { DeviceError } from '../base/errors.ts';
import { type DeviceInfo, devices } from '../device/devices.ts';
import { formatBytes } from '../device/memory.ts';
import { own } from './flag.ts';
import type { Gpus } from './flag-kinds.ts';

interface Flags {
  gpu: Gpus;
  json?: boolean;
}

export function deviceQuery(): Command {
  return new Command()
    .addOption(own('queriedGpus', 'all'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      '\nThe exit status is 1 if the GPU does not exist; resnode doctor says what is missing.\n\nExample:\n  resnode device-query --gpu 0',
    )
    .action(({ gpu, json }: Flags) => {
      const { devices: all, problem } = devices();
      if (all.length === 0)
        throw new DeviceError(
          'device/unavailable',
          'cuda',
          `There is no GPU to query: ${problem ?? 'none was found'}`,
        );
      const chosen = gpu === 'all' ? all : gpu.map((number) => find(all, number));
      console.log(json ? JSON.stringify(chosen) : chosen.map(deviceText).join('\n\n'));
    });
}

function find(all: readonly DeviceInfo[], number: number): DeviceInfo {
  const found = all.find(({ device }) => device === `cuda:${number}`);
  if (found === undefined)
    throw new DeviceError(
      'device/unavailable',
      'cuda',
      `There is no GPU ${number}: there are ${all.map(({ device, name }) => `${device} (${name})`).join(', ')}`,
    );
  return found;
}

function deviceText({ device, name, computeCapability, memory, properties }: DeviceInfo): string {
  const rows = Object.entries({
    device,
    name,
    'compute capability': computeCapability,
    'total global memory': formatBytes(memory.total),
    'free global memory': formatBytes(memory.free),
    ...properties,
  });
  return rows.map(([label, value]) => `${label.padEnd(32)} ${value}`).join('\n');
}
