/** Checks everything that resnode needs, and says how to repair what is missing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ResnodeError } from '../base/errors.ts';
import { ownPackage } from '../base/own-package.ts';
import { type DeviceKind, type DeviceOptions, openDevice } from '../device/device.ts';
import { type Devices, devices } from '../device/devices.ts';
import { formatBytes } from '../device/memory.ts';
import { findDriver, type Machine } from '../device/nvidia.ts';
import { loadBinding, rebuildCommand } from '../native/load.ts';

/** One check. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** The result in one line. */
  readonly found: string;
  /** Versions, paths and sizes, for programs. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
  /** Every path that was searched. */
  readonly tried?: readonly string[];
  /** The command or the step that repairs it; absent if nothing is broken. */
  readonly fix?: string;
}

export interface Diagnosis {
  /** The CPU device works. */
  readonly ok: boolean;
  /** A CUDA device works. */
  readonly cuda: boolean;
  readonly version: string;
  readonly findings: readonly Finding[];
}

const OLDEST_NODE = 20;
/**
 * The first drivers that run libresnode_cuda.so (CUDA 13) and libresnode_cuda11.so (CUDA 11.8):
 * https://docs.nvidia.com/deploy/cuda-compatibility/
 */
const OLDEST_DRIVER = 580;
const OLDEST_DRIVER_CUDA11 = 450;

/** Runs all checks; throws nothing. */
export async function diagnose(): Promise<Diagnosis> {
  const { version } = ownPackage();
  const machine: Machine = { root: '/', environment: process.env };
  const cpu = await checkCpu();
  const oneDnn = await checkOneDnn(cpu);
  const driver = checkDriver(machine, oldestDriver());
  const list = listDevices();
  const gpu = checkGpus(list, await describeDevice('cuda'));
  const findings = [
    checkNode(process.versions.node),
    checkGlibc(),
    checkAddon(version),
    cpu,
    oneDnn,
    driver,
    checkCudaLibrary(list),
    checkCudnn(list),
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
    ...(ok ? {} : { fix: `nvm install ${OLDEST_NODE}` }),
  };
}

function checkGlibc(): Finding {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const version = report.header.glibcVersionRuntime;
  const ok = version !== undefined;
  return {
    name: 'glibc',
    ok,
    found: version ?? 'none: another C library (musl?), without a prebuilt addon',
    details: { version: version ?? null },
    ...(ok ? {} : { fix: rebuildCommand() }),
  };
}

function checkAddon(expected: string): Finding {
  try {
    const { binding, broken, folder, path } = loadBinding();
    const isPrebuilt = folder.includes(`${join('/', 'prebuilds')}/`);
    const ok = binding.version === expected;
    const origin = isPrebuilt ? 'prebuilt' : 'built from source';
    const notes = [
      ...(ok ? [] : [`the package is ${expected}`]),
      ...broken.map((each) => `${each.path} does not load (${each.reason})`),
    ];
    return {
      name: 'addon',
      ok,
      found: [`${binding.version}, ${origin}, ${path}`, ...notes].join('; '),
      details: { version: binding.version, prebuilt: isPrebuilt, path },
      ...(ok ? {} : { fix: rebuildCommand() }),
    };
  } catch (error) {
    return { name: 'addon', ok: false, found: (error as Error).message, fix: rebuildCommand() };
  }
}

/** A choice by name, which only a CPU without AVX2 needs. */
async function checkOneDnn(cpu: Finding): Promise<Finding> {
  const opened = await describeDevice('cpu', { kernels: 'oneDNN' });
  if (opened instanceof ResnodeError && cpu.ok)
    return { name: 'oneDNN', ok: true, found: 'not installed (libdnnl2): only kernels: "oneDNN" needs it' };
  return opened instanceof ResnodeError
    ? { name: 'oneDNN', ok: false, found: opened.message, fix: 'apt-get install libdnnl2' }
    : { name: 'oneDNN', ok: true, found: `${opened.oneDNN}, ${opened['instruction set']}`, details: opened };
}

async function checkCpu(): Promise<Finding> {
  const opened = await describeDevice('cpu');
  return opened instanceof ResnodeError
    ? {
        name: 'CPU device',
        ok: false,
        found: opened.message,
        fix: `apt-get install libdnnl-dev && ${rebuildCommand()}`,
      }
    : { name: 'CPU device', ok: true, found: pairs(opened), details: opened };
}

// Depends on the libraries that are installed.
function oldestDriver(): number {
  try {
    const { folder } = loadBinding();
    return existsSync(join(folder, 'libresnode_cuda11.so')) ? OLDEST_DRIVER_CUDA11 : OLDEST_DRIVER;
  } catch {
    return OLDEST_DRIVER;
  }
}

/** @param oldest The first driver that suffices. @internal */
export function checkDriver(machine: Machine, oldest = OLDEST_DRIVER): Finding {
  const { path, tried, version, gpus } = findDriver(machine);
  const details = { version, path, gpus };
  const major = Number(version?.split('.')[0] ?? oldest);
  const [found, fix] =
    path === null
      ? version === null
        ? gpus === 0
          ? ['none, and no NVIDIA GPU on the PCI bus', null]
          : [`none, for ${gpus} NVIDIA GPU(s) on the PCI bus`, installDriver(oldest)]
        : [`kernel module ${version}, but libcuda.so.1 is missing`, INSTALL_LIBCUDA]
      : [`${version ?? 'version unknown'}, ${path}`, major < oldest ? tooOld(oldest) : null];
  return {
    name: 'NVIDIA driver',
    ok: path !== null && major >= oldest,
    found: path !== null && major < oldest ? `${found}: too old` : found,
    details,
    ...(path === null ? { tried } : {}),
    ...(fix === null ? {} : { fix }),
  };
}

const installDriver = (oldest: number) =>
  `install NVIDIA's driver ${oldest} or later: https://www.nvidia.com/drivers`;
// A checkout may have the other library. Building it needs neither a GPU nor root.
const tooOld = (oldest: number) =>
  oldest === OLDEST_DRIVER
    ? `${installDriver(oldest)}; or, for drivers from ${OLDEST_DRIVER_CUDA11} on, build libresnode_cuda11.so in a checkout: scripts/build-cuda11.sh`
    : installDriver(oldest);
const INSTALL_LIBCUDA = 'in a container: docker run --gpus all …; else: apt-get install libcuda1';

function checkCudaLibrary(list: Devices | null): Finding {
  const name = 'CUDA library';
  if (list === null)
    return { name, ok: false, found: 'not checked: there is no addon', fix: rebuildCommand() };
  const path = join(loadBinding().folder, 'libresnode_cuda.so');
  if (!existsSync(path) && !existsSync(path.replace('.so', '11.so')))
    return {
      name,
      ok: false,
      found: 'not built',
      tried: [path],
      fix: `install nvcc (CUDA 13), then ${rebuildCommand()}`,
    };
  if (list.runtime === null)
    return { name, ok: false, found: `${path} cannot be used: ${list.problem}`, fix: rebuildCommand() };
  const opened = list.library ?? path;
  const needs = Number.parseInt(list.runtime, 10) < 12 ? OLDEST_DRIVER_CUDA11 : OLDEST_DRIVER;
  return {
    name,
    ok: true,
    found: `CUDA runtime ${list.runtime} inside, for driver ${needs} and later, ${opened}`,
    details: { path: opened, runtime: list.runtime },
  };
}

/** @internal */
export function checkCudnn(
  list: (Pick<Devices, 'cudnn' | 'cudnnTried'> & Partial<Pick<Devices, 'driver' | 'runtime'>>) | null,
): Finding {
  const name = 'cuDNN';
  // A library that is installed but lacks a dependency names it.
  const command = /pip install [\w-]+/.exec(list?.cudnnTried.map(([, outcome]) => outcome).join('\n') ?? '');
  const major = Number.parseInt(list?.driver ?? list?.runtime ?? '13', 10);
  const fix = command?.[0] ?? `pip install nvidia-cudnn-cu${Math.min(13, Math.max(11, major))}`;
  if (list === null) return { name, ok: false, found: 'not checked: there is no addon' };
  const { cudnn, cudnnTried } = list;
  if (cudnn !== null)
    return { name, ok: true, found: `${cudnn.version}, ${cudnn.path}`, details: { ...cudnn } };
  if (cudnnTried.length === 0)
    return { name, ok: false, found: 'not checked: the CUDA library cannot be used' };
  const tried = cudnnTried.map((pair) => pair.join(': '));
  // Without a driver, the driver comes first.
  if (list.driver === null) return { name, ok: false, found: 'none; without a driver none is needed', tried };
  return { name, ok: false, found: 'none', tried, fix };
}

/** @internal */
export function checkGpus(list: Pick<Devices, 'devices' | 'problem'> | null, opened: Opened): Finding {
  const name = 'CUDA device';
  const found = (list?.devices ?? [])
    .map(
      ({ device, name: gpu, computeCapability, memory }) =>
        `${device} ${gpu}, compute capability ${computeCapability}, ${formatBytes(memory.total)}, ${formatBytes(memory.free)} free`,
    )
    .join('; ');
  if (!(opened instanceof ResnodeError)) return { name, ok: true, found, details: opened };
  // The first line. Another row reports every place that was searched for cuDNN.
  const reason = opened.message.split('\n')[0]!.replace(/ Tried:$/, '');
  return { name, ok: false, found: found === '' ? reason : `${found}; but: ${reason}` };
}

type Opened = Awaited<ReturnType<typeof describeDevice>>;

function listDevices(): Devices | null {
  try {
    return devices();
  } catch {
    return null;
  }
}

async function describeDevice(kind: DeviceKind, options: DeviceOptions = {}) {
  try {
    await using device = await openDevice(kind, options);
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
