/** The package as npm packs it, unpacked in an empty application, with this build's addon as the prebuilt one. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repositoryFolder } from './golden.ts';

export interface PackedApp {
  readonly folder: string;
  /** The path of resnode in its node_modules. */
  readonly package: string;
  /** Writes files by name. */
  write(files: Readonly<Record<string, string>>): void;
  /** Runs Node.js in the application's folder; by default the version that runs the tests. */
  node(args: readonly string[], env?: Readonly<Record<string, string>>, executable?: string): Ran;
  remove(): void;
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** As for a user, it contains only what `files` of package.json lists. */
export function packedApp(): PackedApp {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-package-'));
  const stage = join(folder, 'stage');
  mkdirSync(stage);
  const manifest = JSON.parse(readFileSync(join(repositoryFolder, 'package.json'), 'utf8')) as {
    files: string[];
    dependencies: Record<string, string>;
  };
  const own = ['package.json', 'README.md', 'LICENSE', ...manifest.files].filter(
    (name) => !['dist', 'prebuilds'].includes(name),
  );
  for (const name of own) {
    mkdirSync(dirname(join(stage, name)), { recursive: true });
    cpSync(join(repositoryFolder, name), join(stage, name), { recursive: true });
  }
  const bin = (name: string) => join(repositoryFolder, 'node_modules', name);
  const build = join(repositoryFolder, 'scripts/build-dist.mjs');
  execFileSync(process.execPath, [build, join(stage, 'dist')], { stdio: 'inherit' });
  execFileSync('npm', ['pack', '--ignore-scripts', '--loglevel=error'], { cwd: stage, stdio: 'ignore' });
  const tarball = readdirSync(stage).find((name) => name.endsWith('.tgz'))!;
  const modules = join(folder, 'app/node_modules');
  const target = join(modules, 'resnode');
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', join(stage, tarball), '-C', target, '--strip-components=1']);
  rmSync(stage, { recursive: true });
  // Copied next to it, not packed: compressing libraries of tens of megabytes takes longer than most tests.
  const release = join(repositoryFolder, 'build/Release');
  const prebuilds = join(target, 'prebuilds/linux-x64');
  mkdirSync(prebuilds, { recursive: true });
  copyFileSync(join(release, 'resnode.node'), join(prebuilds, 'resnode.glibc.node'));
  for (const name of ['libresnode_cpu.so', 'libresnode_cuda.so'])
    if (existsSync(join(release, name))) copyFileSync(join(release, name), join(prebuilds, name));
  // Its dependencies, as npm would install them; the tests' own dependencies are not included.
  for (const name of runtimeModules()) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(bin(name), join(modules, name));
  }
  const app = join(folder, 'app');
  return {
    folder: app,
    package: target,
    write(files) {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(app, name)), { recursive: true });
        writeFileSync(join(app, name), text);
      }
    },
    node(args, env = {}, executable = process.execPath) {
      const { status, stdout, stderr } = spawnSync(executable, args, {
        cwd: app,
        encoding: 'utf8',
        env: { ...process.env, ...env },
        timeout: 120_000,
      });
      return { status, stdout, stderr };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** What package-lock.json installs without development dependencies. */
function runtimeModules(): string[] {
  const { packages } = JSON.parse(readFileSync(join(repositoryFolder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([path, { dev }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && dev !== true)
    .map(([path]) => path.slice('node_modules/'.length))
    .filter((name) => existsSync(join(repositoryFolder, 'node_modules', name)));
}
