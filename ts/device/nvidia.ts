/** Looks for NVIDIA's driver on this machine without calling it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where to look: `/` and the process's own environment, except in tests. */
export interface Machine {
  readonly root: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Driver {
  /** The path of the first libcuda.so.1 that exists. */
  readonly path: string | null;
  /** All paths that were checked, up to the one that exists. */
  readonly tried: readonly string[];
  /** The version of the kernel module, from /proc. */
  readonly version: string | null;
  /** The number of NVIDIA's graphics and compute functions on the PCI bus. */
  readonly gpus: number;
}

const FOLDERS = [
  `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/nvidia/lib64', // containers
  '/usr/lib/wsl/lib',
];

/**
 * Finds libcuda.so.1, which comes with the driver, as the dynamic loader would; the version of the kernel module; and the
 * GPUs on the PCI bus.
 */
export function findDriver(machine: Machine): Driver {
  const { root, environment } = machine;
  const name = 'libcuda.so.1';
  const configured = (environment.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '');
  const cached = root === '/' ? cachedLibrary(name) : null;
  const paths = [...configured, ...FOLDERS].map((folder) => join(folder, name));
  if (cached !== null) paths.splice(configured.length, 0, cached);
  const found = paths.findIndex((path) => existsSync(join(root, path)));
  const text = read(join(root, 'proc/driver/nvidia/version'));
  return {
    path: paths[found] ?? null,
    tried: found < 0 ? paths : paths.slice(0, found + 1),
    version: /Kernel Module.*?\s(\d+\.\d+(\.\d+)?)\s/.exec(text)?.[1] ?? null,
    gpus: countGpus(machine),
  };
}

/**
 * Device files of GPUs that are on no PCI bus: those of Tegra, and of Windows under WSL, where the driver's library belongs
 * to the host.
 */
const WITHOUT_BUS = ['/dev/nvidiactl', '/dev/nvhost-ctrl-gpu', '/usr/lib/wsl/lib/libcuda.so.1'];

/** Whether this machine seems to have an NVIDIA GPU, with or without a driver. It calls and starts nothing. */
export function hasNvidiaGpu(machine: Machine): boolean {
  return countGpus(machine) > 0 || WITHOUT_BUS.some((path) => existsSync(join(machine.root, path)));
}

function countGpus({ root }: Machine): number {
  const bus = join(root, 'sys/bus/pci/devices');
  return list(bus).filter((device) => {
    const [vendor, kind] = ['vendor', 'class'].map((name) => read(join(bus, device, name)).trim());
    return vendor === '0x10de' && /^0x03/.test(kind!);
  }).length;
}

/** Looks in the dynamic loader's cache if ldconfig is available. */
function cachedLibrary(name: string): string | null {
  try {
    const text = execFileSync('/sbin/ldconfig', ['-p'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const line = text
      .split('\n')
      .find((each) => each.trim().startsWith(`${name} (`) && each.includes('x86-64'));
    return line?.split('=> ')[1] ?? null;
  } catch {
    return null;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
