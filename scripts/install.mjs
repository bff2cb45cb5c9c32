// npm's install script. A prebuilt addon that loads is left unchanged (so `npm install --ignore-scripts` gives the
// same). Without one, the addon is built, and everything that this lacks is reported at once. Only builds from source
// need cmake-js and node-addon-api, so these are optional peers, which the builder installs.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function whyNoAddon() {
  if (process.env.npm_config_build_from_source) return 'a build from source was asked for';
  const require = createRequire(import.meta.url);
  const { findAddons } = require('./find-addon.cjs');
  let reason = 'there is none';
  for (const path of findAddons(root)) {
    try {
      require(path);
      return null;
    } catch (error) {
      reason = error.message.trim().split('\n')[0];
    }
  }
  return reason;
}

/** The npm packages for a build: below this package, or next to it. */
function missingPackages() {
  const require = createRequire(import.meta.url);
  const isThere = (name) => {
    try {
      return Boolean(require.resolve(`${name}/package.json`));
    } catch {
      return false;
    }
  };
  return ['cmake-js', 'node-addon-api'].filter((name) => !isThere(name));
}

const outputOf = (command, args, input = '') => {
  const run = spawnSync(command, args, { input, encoding: 'utf8' });
  return run.status === 0 ? run.stdout : null;
};

// The requirements of CMakeLists.txt: [what, whether it is installed, Debian's package].
function missingTools() {
  const compiler = process.env.CXX ?? 'c++';
  const hasCompiler = outputOf(compiler, ['--version']) !== null;
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(outputOf('cmake', ['--version']) ?? '') ?? [];
  const hasMake = ['make', 'ninja'].some((command) => outputOf(command, ['--version']) !== null);
  const oneDnn = outputOf(
    compiler,
    ['-E', '-P', '-x', 'c++', '-'],
    '#include <dnnl_version.h>\n#if __has_include(<dnnl.hpp>)\nDNNL_VERSION_MAJOR\n#endif\n',
  );
  return [
    [`a C++17 compiler (${compiler})`, hasCompiler, 'g++'],
    [
      'CMake 3.18 or later (cmake)',
      Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 18),
      'cmake',
    ],
    ['make or ninja', hasMake, 'make'],
    ['oneDNN 2.x with its headers (dnnl.hpp)', oneDnn?.trim() === '2', 'libdnnl-dev'],
  ].filter(([, isThere]) => !isThere);
}

const reason = whyNoAddon();
if (reason !== null) {
  console.error(`resnode: no prebuilt addon fits ${process.platform}-${process.arch}: ${reason}`);
  const missing = missingTools();
  if (missing.length > 0) {
    console.error(
      `resnode: building it from source needs what is not here: ${missing.map(([what]) => what).join('; ')}`,
    );
    console.error(`resnode: on Debian 12: apt-get install ${missing.map(([, , name]) => name).join(' ')}`);
  }
  const packages = missingPackages();
  if (packages.length > 0) {
    // A failed install leaves nothing behind; only `npm rebuild` finds resnode in its place.
    const command =
      process.env.npm_command === 'install'
        ? `npm install resnode ${packages.join(' ')}`
        : `npm install ${packages.join(' ')} && npm rebuild resnode`;
    console.error(`resnode: building it from source takes ${packages.join(' and ')}: ${command}`);
  }
  if (missing.length > 0 || packages.length > 0) process.exit(1);
  // Only for the GPU in this machine: building for all architectures takes a quarter of an hour.
  const architectures =
    process.env.RESNODE_CUDA_ARCHITECTURES ?? (outputOf('nvidia-smi', ['-L']) === null ? null : 'native');
  console.error(
    `resnode: building it from source, ${architectures === null ? 'without CUDA: no GPU is here (RESNODE_CUDA_ARCHITECTURES=all builds for all)' : `for CUDA architectures: ${architectures}`}`,
  );
  const build = fileURLToPath(new URL('cmake-build.mjs', import.meta.url));
  const options = architectures === null ? [] : [`--CDRESNODE_CUDA_ARCHITECTURES=${architectures}`];
  const environment = architectures === null ? { ...process.env, CUDACXX: 'none' } : process.env;
  const { status } = spawnSync(process.execPath, [build, ...options], { stdio: 'inherit', env: environment });
  if (status !== 0) console.error('resnode: the build failed; CUDACXX=none leaves CUDA out');
  process.exitCode = status ?? 1;
}
