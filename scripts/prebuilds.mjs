// Makes prebuilds/linux-x64: the addon, the backend libraries and the libraries that those need and a plain system
// lacks, side by side; then proves of every file what an installation relies on. prebuildify would only copy and strip.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'build/package/Release');
const target = join(root, 'prebuilds/linux-x64');
const GLIBC_LIMIT = '2.36'; // Debian 12
const BYTES_LIMIT = 95e6; // of the 100 MB that a package should unpack to
// Every Linux that Node runs on has these.
const SYSTEM = /^(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so\./;

const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1e9 });
const dynamic = (file) => output('objdump', '-p', file);
const needed = (file) => [...dynamic(file).matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => name);

function fail(message) {
  console.error(`prebuilds: ${message}`);
  process.exit(1);
}

function build() {
  const script = join(root, 'scripts/cmake-build.mjs');
  const options = ['--out', 'build/package', '--CDRESNODE_CUDA_ARCHITECTURES=all'];
  if (spawnSync(process.execPath, [script, ...options], { stdio: 'inherit' }).status !== 0)
    fail('the build failed');
}

function gather() {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const backends = ['libresnode_cpu.so', 'libresnode_cuda.so'];
  const absent = backends.filter((name) => !existsSync(join(built, name)));
  if (absent.length > 0 && !process.argv.includes('--partial'))
    fail(
      `${absent.join(' and ')} not built: oneDNN's headers or nvcc are missing (--partial packs what there is)`,
    );
  copyFileSync(join(built, 'resnode.node'), join(target, 'resnode.napi.glibc.node'));
  for (const name of backends.filter((each) => !absent.includes(each)))
    copyFileSync(join(built, name), join(target, name));
}

// What a file needs, and what that needs, from where the loader finds it here.
function bundle(notices) {
  const names = new Set(readdirSync(target));
  for (const name of names) {
    const file = join(target, name);
    const found = new Map(
      [...output('ldd', file).matchAll(/(\S+) => (\/\S+)/g)].map(([, wanted, path]) => [wanted, path]),
    );
    for (const wanted of needed(file)) {
      if (SYSTEM.test(wanted) || names.has(wanted)) continue;
      const path = found.get(wanted) ?? fail(`${name} needs ${wanted}, which is not on this machine`);
      checkNotice(notices, wanted, realpathSync(path));
      copyFileSync(path, join(target, wanted));
      names.add(wanted);
    }
  }
}

// The notices promise the very version's licence and source.
function checkNotice(notices, name, path) {
  const owner = output('dpkg-query', '-S', path).split(':')[0];
  const version = output('dpkg-query', '-W', owner).trim().split('\t')[1];
  if (!notices.includes(`| \`${name}\` | \`${owner}\` ${version} |`))
    fail(`THIRD-PARTY-NOTICES.md does not name ${name} of ${owner} ${version}`);
}

const compareVersions = (a, b) => a.localeCompare(b, 'en', { numeric: true });
const newestVersion = (symbols, name) =>
  [...symbols.matchAll(new RegExp(`\\b${name}_([\\d.]+)`, 'g'))]
    .map(([, version]) => version)
    .sort(compareVersions)
    .at(-1) ?? '';

function check() {
  const rows = readdirSync(target).map((name) => {
    const file = join(target, name);
    const header = dynamic(file);
    if (/RUNPATH/.test(header))
      fail(`${name} has a RUNPATH: the loader would not use it for what a library needs`);
    const isBundling = needed(file).some((wanted) => !SYSTEM.test(wanted));
    if (name.startsWith('libresnode') && isBundling && !/RPATH\s+\$ORIGIN\n/.test(header))
      fail(`${name} does not look beside itself (RPATH $ORIGIN)`);
    const symbols = output('objdump', '-T', file);
    const [glibc, libstdcxx] = ['GLIBC', 'GLIBCXX'].map((each) => newestVersion(symbols, each));
    if (compareVersions(glibc, GLIBC_LIMIT) > 0)
      fail(`${name} needs glibc ${glibc}; the limit is ${GLIBC_LIMIT}`);
    return { name, bytes: statSync(file).size, glibc, libstdcxx };
  });
  return rows;
}

build();
gather();
bundle(readFileSync(join(root, 'THIRD-PARTY-NOTICES.md'), 'utf8'));
for (const name of readdirSync(target)) execFileSync('strip', ['--strip-unneeded', join(target, name)]);
const rows = check();
const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
const floor = (key) =>
  rows
    .map((row) => row[key])
    .sort(compareVersions)
    .at(-1);
const mb = (count) => `${(count / 1e6).toFixed(2).padStart(6)} MB`;
for (const row of rows)
  console.log(
    `${row.name.padEnd(26)} ${mb(row.bytes)}  glibc ${row.glibc.padEnd(7)} GLIBCXX ${row.libstdcxx || 'none'}`,
  );
console.log(
  `${basename(target).padEnd(26)} ${mb(bytes)}  glibc ${floor('glibc')} or later, GLIBCXX ${floor('libstdcxx')} or later`,
);
if (bytes > BYTES_LIMIT)
  fail(`${mb(bytes)} is more than ${mb(BYTES_LIMIT)}: choose fewer CUDA architectures`);
