/** What resnode finds of all it needs, and what mends what is missing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ResnodeError } from '../errors.ts';
import { loadBinding } from '../native/load.ts';
import { type DeviceKind, openDevice } from './device.ts';
import { findCudnn, findDriver, type Machine } from './nvidia.ts';

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** What is there, or what is not, in one line. */
  readonly found: string;
  /** Versions, paths and sizes, for programs. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
  /** Every path that was looked at, where it was looked for. */
  readonly tried?: readonly string[];
  /** The command, or the one step, that mends it. Absent where nothing is broken. */
  readonly mend?: string;
}

export interface Diagnosis {
  /** The CPU device works. */
  readonly ok: boolean;
  /** A CUDA device works. */
  readonly cuda: boolean;
  readonly version: string;
  readonly findings: readonly Finding[];
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const REBUILD = existsSync(join(root, 'ts')) ? 'npm run build' : 'npm rebuild resnode';
const OLDEST_NODE = 20;
/** The first driver that runs programs of the CUDA 13 runtime. */
const OLDEST_DRIVER = 580;

/** Looks at everything; throws nothing. */
export async function diagnose(): Promise<Diagnosis> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const machine: Machine = { root: '/', environment: process.env };
  const cpu = await checkCpu();
  const driver = checkDriver(machine);
  const gpu = await checkGpu();
  const findings = [
    checkNode(process.versions.node),
    checkGlibc(),
    checkAddon(version),
    cpu,
    driver,
    checkCudaLibrary(),
    checkCudnn(machine),
    gpu,
  ];
  return { ok: cpu.ok, cuda: gpu.ok, version, findings };
}

/** @internal */
export function checkNode(version: string): Finding {
  const ok = Number(version.split('.')[0]) >= OLDEST_NODE;
  return {
    name: 'Node.js',
    ok,
    found: version,
    details: { version },
    ...(ok ? {} : { mend: `nvm install ${OLDEST_NODE}` }),
  };
}

function checkGlibc(): Finding {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const version = report.header.glibcVersionRuntime;
  const ok = version !== undefined;
  return {
    name: 'glibc',
    ok,
    found: version ?? 'none: another C library (musl?), for which there is no prebuilt addon',
    details: { version: version ?? null },
    ...(ok ? {} : { mend: REBUILD }),
  };
}

function checkAddon(expected: string): Finding {
  try {
    const { binding, folder, path } = loadBinding();
    const isPrebuilt = folder.includes(`${join('/', 'prebuilds')}/`);
    const ok = binding.version === expected;
    const origin = isPrebuilt ? 'prebuilt' : 'built from source';
    return {
      name: 'addon',
      ok,
      found: `${binding.version}, ${origin}, ${path}${ok ? '' : `; the package is ${expected}`}`,
      details: { version: binding.version, prebuilt: isPrebuilt, path },
      ...(ok ? {} : { mend: REBUILD }),
    };
  } catch (error) {
    return { name: 'addon', ok: false, found: (error as Error).message, mend: REBUILD };
  }
}

async function checkCpu(): Promise<Finding> {
  const opened = await describeDevice('cpu');
  return opened instanceof ResnodeError
    ? {
        name: 'CPU device',
        ok: false,
        found: opened.message,
        mend: `apt-get install libdnnl-dev && ${REBUILD}`,
      }
    : { name: 'CPU device', ok: true, found: pairs(opened), details: opened };
}

/** @internal */
export function checkDriver(machine: Machine): Finding {
  const { path, tried, version, gpus } = findDriver(machine);
  const details = { version, path, gpus };
  const major = Number(version?.split('.')[0] ?? OLDEST_DRIVER);
  const [found, mend] =
    path === null
      ? version === null
        ? gpus === 0
          ? ['none, and no NVIDIA GPU on the PCI bus', null]
          : [`none, for ${gpus} NVIDIA GPU(s) on the PCI bus`, INSTALL_DRIVER]
        : [`kernel module ${version}, but libcuda.so.1 is not here`, INSTALL_LIBCUDA]
      : [`${version ?? 'version unknown'}, ${path}`, major < OLDEST_DRIVER ? INSTALL_DRIVER : null];
  return {
    name: 'NVIDIA driver',
    ok: path !== null && major >= OLDEST_DRIVER,
    found: path !== null && major < OLDEST_DRIVER ? `${found}: too old` : found,
    details,
    ...(path === null ? { tried } : {}),
    ...(mend === null ? {} : { mend }),
  };
}

const INSTALL_DRIVER = `install NVIDIA's driver ${OLDEST_DRIVER} or later: https://www.nvidia.com/drivers`;
const INSTALL_LIBCUDA = 'in a container: docker run --gpus all …; else: apt-get install libcuda1';

function checkCudaLibrary(): Finding {
  const name = 'CUDA library';
  try {
    const path = join(loadBinding().folder, 'libresnode_cuda.so');
    return existsSync(path)
      ? { name, ok: true, found: `${path} (the CUDA runtime is linked into it)`, details: { path } }
      : {
          name,
          ok: false,
          found: 'not built',
          tried: [path],
          mend: `install nvcc (CUDA 13), then ${REBUILD}`,
        };
  } catch {
    return { name, ok: false, found: 'not looked for: there is no addon', mend: REBUILD };
  }
}

/** @internal */
export function checkCudnn(machine: Machine): Finding {
  const { path, tried } = findCudnn(machine);
  return path === null
    ? {
        name: 'cuDNN',
        ok: false,
        found: 'libcudnn.so.9 is not here',
        tried,
        mend: 'pip install nvidia-cudnn-cu13',
      }
    : { name: 'cuDNN', ok: true, found: path, details: { path } };
}

async function checkGpu(): Promise<Finding> {
  const opened = await describeDevice('cuda');
  return opened instanceof ResnodeError
    ? { name: 'CUDA device', ok: false, found: opened.message }
    : { name: 'CUDA device', ok: true, found: pairs(opened), details: opened };
}

async function describeDevice(kind: DeviceKind) {
  try {
    await using device = await openDevice(kind);
    return device.description;
  } catch (error) {
    if (error instanceof ResnodeError) return error;
    throw error;
  }
}

const pairs = (description: Readonly<Record<string, string | number>>) =>
  Object.entries(description)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
