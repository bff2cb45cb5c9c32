// Makes prebuilds/linux-x64, or with --arm64 prebuilds/linux-arm64 by Debian's cross compiler: prebuildify builds,
// strips and names the addon and the backend libraries. Then it checks every file: a basic system must have what the
// file needs, in sufficiently old versions.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import prebuildify from 'prebuildify';

const root = fileURLToPath(new URL('..', import.meta.url));
const architecture = process.argv.includes('--arm64') ? 'arm64' : 'x64';
const isCross = architecture !== process.arch;
const target = join(root, `prebuilds/linux-${architecture}`);
const GLIBC_LIMIT = '2.34'; // as docs/installing.md promises; Ubuntu 22.04 has 2.35
const BYTES_LIMIT = 30e6; // of the 75 MB that an installation may have, of which sharp takes 21
// Every Linux that runs Node has these.
const SYSTEM =
  /^(ld-linux-x86-64|ld-linux-aarch64|libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so\./;

const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1e9 });
const tool = (name) => (isCross ? `aarch64-linux-gnu-${name}` : name);
const needed = (file) =>
  [...output(tool('objdump'), '-p', file).matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => name);

function fail(message) {
  console.error(`prebuilds: ${message}`);
  process.exit(1);
}

const BACKENDS = architecture === 'x64' ? ['libresnode_cpu.so', 'libresnode_cuda.so'] : ['libresnode_cpu.so'];

// Does the same as `prebuildify --napi --strip --tag-libc --node-gyp scripts/cmake-build.mjs`, in a separate build
// folder.
async function build() {
  const cwd = join(root, architecture === 'x64' ? 'build/package' : `build/package-${architecture}`);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(cwd, { recursive: true });
  await promisify(prebuildify)({
    ...{ cwd, out: root, arch: architecture, name: 'resnode', napi: true, tagLibc: true },
    ...{ strip: true, stripBin: tool('strip') },
    targets: [process.versions.node],
    nodeGyp: join(root, 'scripts/cmake-build.mjs'),
  });
  const absent = BACKENDS.filter((name) => !existsSync(join(target, name)));
  if (absent.length > 0 && !process.argv.includes('--partial'))
    fail(
      `${absent.join(' and ')} not built: oneDNN's headers or nvcc are missing (--partial packs what there is)`,
    );
  // MPI belongs to the system, so its library is built where it is used.
  for (const name of readdirSync(target))
    if (name.endsWith('.so') && !BACKENDS.includes(name)) rmSync(join(target, name));
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
    const foreign = needed(file).filter((wanted) => !SYSTEM.test(wanted));
    if (foreign.length > 0) fail(`${name} needs ${foreign.join(' and ')}, which a plain system lacks`);
    const symbols = output(tool('objdump'), '-T', file);
    const [glibc, libstdcxx] = ['GLIBC', 'GLIBCXX'].map((each) => newestVersion(symbols, each));
    if (compareVersions(glibc, GLIBC_LIMIT) > 0)
      fail(`${name} needs glibc ${glibc}; the limit is ${GLIBC_LIMIT}`);
    return { name, bytes: statSync(file).size, glibc, libstdcxx };
  });
  return rows;
}

await build();
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
