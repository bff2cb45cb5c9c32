/** Looks for what an NVIDIA GPU needs on this machine, without calling any of it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where to look: `/` and the process's own environment, but in tests. */
export interface Machine {
  readonly root: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Search {
  /** The first that is there. */
  readonly path: string | null;
  /** Every path looked at, in the order of looking, up to the one that was there. */
  readonly tried: readonly string[];
}

export interface Driver extends Search {
  /** Of the kernel module, as /proc says. */
  readonly version: string | null;
  /** NVIDIA's graphics and compute functions on the PCI bus. */
  readonly gpus: number;
}

const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib', '/lib/x86_64-linux-gnu'];

/** libcuda.so.1, which comes with the driver, the kernel module and the PCI bus. */
export function findDriver(machine: Machine): Driver {
  const usual = [...FOLDERS, '/usr/local/nvidia/lib64', '/usr/lib/wsl/lib', '/usr/local/cuda/compat'];
  const text = read(join(machine.root, 'proc/driver/nvidia/version'));
  return {
    ...search(machine, loaderCandidates(machine, 'libcuda.so.1', usual)),
    version: /Kernel Module.*?\s(\d+\.\d+(\.\d+)?)\s/.exec(text)?.[1] ?? null,
    gpus: countGpus(machine),
  };
}

/**
 * libcudnn.so.9 in the order of the CUDA device: RESNODE_CUDNN (a file or its folder), the loader's path, the system's
 * folders, Python's site-packages (the wheel nvidia-cudnn-cu13).
 */
export function findCudnn(machine: Machine): Search {
  const { environment } = machine;
  const name = 'libcudnn.so.9';
  const asked = environment.RESNODE_CUDNN;
  return search(machine, [
    ...(asked === undefined ? [] : [/\.so(\.\d+)*$/.test(asked) ? asked : join(asked, name)]),
    ...loaderCandidates(machine, name, [...FOLDERS, '/usr/local/cuda/lib64']),
    ...sitePackages(machine).map((folder) => join(folder, 'nvidia/cudnn/lib', name)),
  ]);
}

function sitePackages({ root, environment }: Machine): string[] {
  const { PATH, VIRTUAL_ENV, CONDA_PREFIX, HOME } = environment;
  const onPath = (PATH ?? '')
    .split(':')
    .filter((folder) => folder !== '' && existsSync(join(root, folder, 'python3')))
    .map((folder) => join(folder, '..'));
  const prefixes = [
    ...onPath,
    VIRTUAL_ENV,
    CONDA_PREFIX,
    HOME && join(HOME, '.local'),
    '/usr/local',
    '/usr',
    '/opt/conda',
  ];
  return prefixes
    .filter((prefix) => prefix !== undefined && prefix !== '')
    .flatMap((prefix) =>
      list(join(root, prefix!, 'lib'))
        .filter((folder) => /^python3/.test(folder))
        .flatMap((folder) =>
          ['site-packages', 'dist-packages'].map((packages) => join(prefix!, 'lib', folder, packages)),
        ),
    );
}

function countGpus({ root }: Machine): number {
  const bus = join(root, 'sys/bus/pci/devices');
  return list(bus).filter((device) => {
    const [vendor, kind] = ['vendor', 'class'].map((name) => read(join(bus, device, name)).trim());
    return vendor === '0x10de' && /^0x03/.test(kind!);
  }).length;
}

/** What dlopen would look at for a bare name, then the usual folders. */
function loaderCandidates({ root, environment }: Machine, name: string, usual: readonly string[]): string[] {
  const folders = (environment.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '');
  const cached = root === '/' ? cachedLibrary(name) : null;
  return [
    ...folders.map((folder) => join(folder, name)),
    ...(cached === null ? [] : [cached]),
    ...usual.map((folder) => join(folder, name)),
  ];
}

/** The loader's cache, where ldconfig can be asked. */
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

function search({ root }: Machine, candidates: readonly string[]): Search {
  const tried: string[] = [];
  for (const path of new Set(candidates)) {
    tried.push(path);
    if (existsSync(join(root, path))) return { path, tried };
  }
  return { path: null, tried };
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
