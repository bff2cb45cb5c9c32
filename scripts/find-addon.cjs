// Which files may hold the addon, best first. ts/native/load.ts and scripts/install.mjs both ask.
const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

/**
 * The addon that was built here, for this platform by name first (scripts/build-arm64.sh builds for another one), then the
 * prebuilt one that fits.
 * scripts/cmake-build.mjs stamps a build when it is finished; one without its stamp was interrupted and does not count.
 * @param {string} root The package's folder.
 * @returns {string[]} Paths; empty where there is none.
 */
exports.findAddons = (root) => {
  const built = [`build/${process.platform}-${process.arch}/Release`, 'build/Release']
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(join(folder, '.built')))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.node'));
  return [...built, ...findPrebuilt(root)];
};

// node-gyp-build would take whatever lies in build/Release, unless this variable is set while the module is loaded.
function findPrebuilt(root) {
  const module = require.resolve('node-gyp-build/node-gyp-build.js', { paths: [root] });
  const { PREBUILDS_ONLY: before } = process.env;
  process.env.PREBUILDS_ONLY = '1';
  delete require.cache[module];
  try {
    return [require(module).resolve(root)];
  } catch (error) {
    if (/No native build was found/.test(error.message)) return [];
    throw error;
  } finally {
    if (before === undefined) delete process.env.PREBUILDS_ONLY;
    else process.env.PREBUILDS_ONLY = before;
  }
}
