/**
 * Builds cuda/ for the host (test/cuda/CMakeLists.txt) in build/emulated, which is quick if nothing changed. Run as a
 * script, it builds all targets, so that the files that need them can run side by side (RESNODE_TEST_EMULATED=built
 * tells them so).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, type DeviceKind, type DeviceOptions, openDevice } from '../../ts/index.ts';
import { repositoryFolder } from './golden.ts';

const targets = {
  'kernel-tests': 'kernel-tests',
  'plain-kernel-tests': 'plain-kernel-tests',
  'host-tests': 'host-tests',
  'plain-host-tests': 'plain-host-tests',
  'real-cudnn-tests': 'real-cudnn-tests',
  'fake-cudnn-92400': 'libfake-cudnn-92400.so',
  empty: 'libempty.so',
  resnode_cuda: 'emulated/libresnode_cuda.so',
  'fake-nccl': 'libfake-nccl.so',
  'fake-nvml': 'nvml/libnvidia-ml.so.1',
};

const folder = join(repositoryFolder, 'build/emulated');
/** Holds the time of the newest source at the last build of all targets. */
const stamp = join(folder, '.built');

function newestSource(): readonly [path: string, time: number] {
  let newest: readonly [string, number] = ['', 0];
  for (const root of ['native', 'cuda', 'test/cuda'])
    for (const name of readdirSync(join(repositoryFolder, root), { recursive: true }) as string[]) {
      if (!/\.(cc|cu|h|in|cmake|txt)$/.test(name)) continue;
      const path = join(root, name);
      const time = statSync(join(repositoryFolder, path)).mtimeMs;
      if (time > newest[1]) newest = [path, time];
    }
  return newest;
}

/** @throws Error if a source is newer than the build recorded in `stamp`, or if nothing was built */
export function requireBuilt(file = stamp): void {
  const [path, time] = newestSource();
  if (existsSync(file) && Number(readFileSync(file, 'utf8')) >= time) return;
  throw new Error(
    `RESNODE_TEST_EMULATED=built, but build/emulated holds nothing, or was built before ${path} changed: run npx tsx test/support/emulated.ts, or unset the variable`,
  );
}

/** Null, after printing why the caller skips, if CUDA's headers are missing. */
function build(...names: (keyof typeof targets)[]): string | null {
  if (process.env.RESNODE_TEST_EMULATED === 'built') {
    requireBuilt();
    return folder;
  }
  const [, time] = newestSource();
  const cmake = (...commandLine: string[]) => {
    const run = spawnSync('cmake', commandLine, { encoding: 'utf8', maxBuffer: 1 << 26 });
    return {
      ok: run.status === 0,
      text: `${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`,
    };
  };
  const make = (where: string, ...targets: string[]) => {
    const { ok, text } = cmake('--build', where, '--target', ...targets, '--parallel', '2');
    if (!ok) throw new Error(text);
  };
  const addon = join(repositoryFolder, 'build');
  const compilesHost = existsSync(join(addon, 'Release/libresnode_cuda.so')) ? 'OFF' : 'ON';
  const source = join(repositoryFolder, 'test/cuda');
  const configured = cmake('-S', source, '-B', folder, `-DRESNODE_OWN_HOST=${compilesHost}`);
  if (!configured.ok && /RESNODE_NVCC|RESNODE_CUDA_INCLUDE/.test(configured.text)) {
    console.log(
      `skipped: CUDA's headers were not found (no nvcc), so that its kernels cannot be compiled for the host`,
    );
    return null;
  }
  if (!configured.ok) throw new Error(configured.text);
  make(addon, 'resnode_core', 'resnode_specification');
  if (compilesHost === 'OFF') make(addon, 'resnode_cuda_archive');
  make(folder, ...names);
  if (names.length === Object.keys(targets).length) writeFileSync(stamp, String(time));
  return folder;
}

/**
 * The path of a target, or null, after printing why the caller skips, if CUDA's headers are missing.
 * @throws Error with the compiler's messages if it does not build
 */
export function emulatedBuild(target: keyof typeof targets): string | null {
  const folder = build(target);
  return folder && join(folder, targets[target]);
}

/**
 * Opens the CUDA device on the emulated runtime, with resnode's own kernels and without measurements unless `options`
 * say otherwise. Null, after printing why the caller skips, if it cannot be built. On a machine with a GPU,
 * RESNODE_TEST_CUDA=hardware (scripts/gpu-check.sh) opens the real device instead.
 */
export async function openEmulated(
  options: DeviceOptions = {},
  kind: DeviceKind = 'cuda',
): Promise<Device | null> {
  if (process.env.RESNODE_TEST_CUDA === 'hardware')
    return openDevice(kind, { cudnn: false, tune: false, ...options });
  const library = emulatedBuild('resnode_cuda');
  if (library === null) return null;
  return openDevice(kind, { cudnn: false, tune: false, libraryFolder: dirname(library), ...options });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = build(...(Object.keys(targets) as (keyof typeof targets)[])) === null ? 1 : 0;
