/** The packed package as users meet it: module systems, compilers, bundlers, broken builds. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { declaredEntryPoints } from '../support/entry-points.ts';
import { repositoryFolder } from '../support/golden.ts';
import { packedApp } from '../support/packed.ts';
import { documentedCode } from './documented-code.ts';

const app = packedApp();
test.after(() => app.remove());

/** Major versions, as in README and package.json. */
const SUPPORTED = [20, 22, 24];
const module = (name: string) => join(repositoryFolder, 'node_modules', name);
const open = `openDevice('cpu', { threads: 1 }).then(
  (device) => { console.log('opened ' + device.kind); device.dispose(); },
  (error) => { console.log(error.code + '\\n' + error.message); });`;
const release = join(app.package, 'build/Release');

/** Uses the package from a module and returns what it printed. */
function use(name = 'use.mjs'): string {
  app.write({
    'use.mjs': `import { openDevice } from 'resnode';\n${open}`,
    'use.cjs': `const { openDevice } = require('resnode');\n${open}`,
  });
  const { stdout, stderr } = app.node([name]);
  return stdout + stderr;
}

test('it can be imported', () => {
  assert.is(use('use.mjs'), 'opened cpu\n');
});

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const requiresModules = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
if (!requiresModules)
  console.log(`skipped: require('resnode'): Node ${process.versions.node} cannot require an ES module`);
else
  test('it can be required, without a warning', () => {
    assert.is(use('use.cjs'), 'opened cpu\n');
  });

test('every entry point can be imported, and its exports have the names under which they are exported', () => {
  const paths = declaredEntryPoints().map((path) => path.replace(/^\./, 'resnode'));
  app.write({
    'all.mjs': `for (const path of ${JSON.stringify(paths)}) {
  const exported = Object.entries(await import(path));
  const renamed = exported.filter(([name, value]) => typeof value === 'function' && value.name !== name);
  console.log(path, exported.length > 5, renamed.map(([name, value]) => name + ' is called ' + value.name));
}`,
  });
  assert.is(app.node(['all.mjs']).stdout, paths.map((path) => `${path} true []\n`).join(''));
});

test('examples/worker-threads classifies in a worker, and both threads end on their own', () => {
  const examples = join(repositoryFolder, 'examples');
  cpSync(join(examples, 'worker-threads'), join(app.folder, 'worker-threads'), { recursive: true });
  const fashion = join(examples, 'fashion');
  const { stdout, stderr, status } = app.node([
    'worker-threads/main.mjs',
    fashion,
    join(fashion, 'images/0000.png'),
  ]);
  assert.equal([status, stderr], [0, '']);
  assert.match(stdout, /0000\.png: Ankle boot \d\.\d{4}\n$/);
});

const [twoLines] = documentedCode('README.md') as [string];

test("the README's first lines classify an image with the printed result", () => {
  const fashion = join(repositoryFolder, 'examples/fashion');
  cpSync(fashion, join(app.folder, 'ants-and-bees'), { recursive: true });
  cpSync(join(fashion, 'images/0000.png'), join(app.folder, 'ant.jpg'));
  app.write({ 'readme.mts': twoLines });
  const { stdout, stderr } = app.node(['--import', module('tsx/dist/loader.mjs'), 'readme.mts']);
  assert.match(stdout, /^Ankle boot 0\.\d+\n$/, stderr);
});

for (const version of SUPPORTED.filter((each) => each !== major)) {
  const installed = spawnSync('bash', [join(repositoryFolder, 'scripts/install-node.sh'), `${version}`], {
    encoding: 'utf8',
  });
  if (installed.status !== 0) {
    console.log(`skipped: Node ${version} was not installed (${installed.stderr.trim().split('\n')[0]})`);
    continue;
  }
  const node = (args: readonly string[]) => app.node(args, {}, installed.stdout.trim());
  test(`Node ${version} loads it as both kinds of module, and its command classifies`, () => {
    assert.match(node(['--version']).stdout, new RegExp(`^v${version}\\.`));
    use(); // Writes both.
    for (const name of ['use.mjs', 'use.cjs'])
      assert.equal(node([name]), { status: 0, stdout: 'opened cpu\n', stderr: '' });
    const fashion = join(repositoryFolder, 'examples/fashion');
    const { stdout, stderr, status } = node([
      'node_modules/resnode/dist/cli/main.js',
      ...['classify', join(fashion, 'images/0000.png'), '--model', fashion, '--top', '1', '--json'],
    ]);
    assert.is(status, 0, stderr);
    assert.match(stdout, /"Ankle boot"/);
  });
  test(`Node ${version} knows the flags that tests and builds use`, () => {
    const script = `import { spawnSync } from 'node:child_process';
import { FEWER_COLLECTIONS, LATER } from ${JSON.stringify(join(repositoryFolder, 'scripts/v8-flags.mjs'))};
process.stderr.write(spawnSync(process.execPath, [...LATER, ...FEWER_COLLECTIONS, '-e', '']).stderr);`;
    assert.is(node(['--input-type=module', '-e', script]).stderr, '');
  });
}

test('the code in README and docs compiles strictly, as a reader would paste it', () => {
  const pages = ['README.md', ...readdirSync(join(repositoryFolder, 'docs')).map((name) => `docs/${name}`)];
  const pieces = pages
    .filter((page) => page.endsWith('.md'))
    .flatMap((page) =>
      documentedCode(page).map((code, i) => [`${page.replaceAll('/', '-')}-${i}.mts`, whole(code)]),
    );
  assert.ok(pieces.length > 8, `${pieces.length} pieces`);
  // A name that does not exist is an error.
  const wrong = { 'wrong.mts': "import { openDevise } from 'resnode';\nawait openDevise();\n" };
  const files = { ...Object.fromEntries(pieces), ...wrong };
  app.write(files);
  const found = mistakes('typescript-7', Object.keys(files), {
    module: 'nodenext',
    noImplicitOverride: true,
    noFallthroughCasesInSwitch: true,
    noUnusedParameters: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
  });
  assert.is(found.length, 1, found.join('\n'));
  assert.match(found[0]!, /wrong\.mts.*openDevise/);
});

/** A code sample as a module, with declarations of the values that it uses but does not create. */
function whole(code: string): string {
  const given = {
    pixels: 'Float32Array',
    signal: 'AbortSignal',
    device: "import('resnode').Device",
    request: '{ body: Uint8Array }',
  };
  const declared = Object.entries(given)
    .filter(([name]) => !new RegExp(`(?:const|using) ${name}\\b`).test(code))
    .map(([name, type]) => `declare const ${name}: ${type};\n`);
  return `${code}\n${declared.join('')}export {};\n`;
}

test('it draws a net and a report with nothing else installed', () => {
  const net = join(repositoryFolder, 'examples/fashion/deploy.prototxt');
  const view = app.node([join(app.package, 'dist/cli/main.js'), 'view', net, '--out', 'net.html']);
  assert.equal([view.status, view.stderr], [0, '']);
  app.write({
    'report.mjs': `import { openReport } from 'resnode/train';
const report = openReport('report.html');
report.add({ type: 'iteration', iteration: 1, loss: 2, rate: 0.1, outputs: [] });
await report.close();`,
  });
  assert.is(app.node(['report.mjs']).stderr, '');
  assert.match(readFileSync(join(app.folder, 'report.html'), 'utf8'), 'leeoniya/uPlot');
});

test('without h5wasm, HDF5 is read, and writing it names the command that installs the missing package', () => {
  const weights = join(repositoryFolder, 'examples/fashion/model.caffemodel');
  app.write({
    'hdf5.mjs': `import { readFileSync } from 'node:fs';
import { readCaffemodel } from 'resnode';
import { writeHdf5Weights } from 'resnode/convert';
await writeHdf5Weights('weights.h5', readCaffemodel(readFileSync(${JSON.stringify(weights)}), { file: 'model' })).catch(({ code, message }) => console.log(code, message));`,
  });
  assert.match(
    app.node(['hdf5.mjs']).stdout,
    /^package\/missing Writing HDF5 files needs .*: npm install h5wasm@0\.10\n$/,
  );
  assert.not.ok(readdirSync(app.folder).some((name) => name.includes('weights.h5')));
});

test('without h5wasm, training with HDF5 snapshots does not start', () => {
  app.write({
    'solver.prototxt': `base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot: 1 snapshot_format: HDF5 snapshot_prefix: "./s"
net_param { layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
  layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "y" top: "loss" } }`,
  });
  const main = join(app.package, 'dist/cli/main.js');
  const refused = app.node([main, 'train', '--solver', 'solver.prototxt', '--device', 'cpu']);
  assert.is(refused.status, 1);
  assert.match(
    refused.stderr,
    /resnode: Writing HDF5 files needs the package h5wasm, .*npm install h5wasm@0\.10/,
  );
  assert.not.match(refused.stdout, /iteration 0/);
});

test('its internals cannot be imported', () => {
  app.write({ 'deep.mjs': "import 'resnode/dist/base/errors.js';" });
  assert.match(app.node(['deep.mjs']).stderr, 'ERR_PACKAGE_PATH_NOT_EXPORTED');
});

test('an interrupted build, or one that does not load, never shadows the prebuilt addon', () => {
  mkdirSync(release, { recursive: true });
  writeFileSync(join(release, 'resnode.node'), '\x7fELF');
  assert.is(use(), 'opened cpu\n');
  writeFileSync(join(release, '.built'), '');
  assert.is(use(), 'opened cpu\n');
  const doctor = app.node([join(app.package, 'dist/cli/main.js'), 'doctor', '--json']);
  const { findings } = JSON.parse(doctor.stdout) as { findings: { name: string; found: string }[] };
  assert.match(findings.find(({ name }) => name === 'addon')!.found, /prebuilt.*resnode\.node does not load/);
  const install = app.node([join(app.package, 'scripts/install.mjs')]);
  assert.equal([install.status, install.stderr], [0, '']);
  rmSync(join(app.package, 'build'), { recursive: true });
});

test('a finished build takes precedence over the prebuilt addon', () => {
  cpSync(join(app.package, 'prebuilds/linux-x64/resnode.glibc.node'), join(release, 'resnode.node'));
  cpSync(join(app.package, 'prebuilds/linux-x64/libresnode_cpu.so'), join(release, 'libresnode_cpu.so'));
  writeFileSync(join(release, '.built'), '');
  const doctor = app.node([join(app.package, 'dist/cli/main.js'), 'doctor', '--json']);
  const { findings } = JSON.parse(doctor.stdout) as { findings: { name: string; found: string }[] };
  assert.match(findings.find(({ name }) => name === 'addon')!.found, 'built from source');
  rmSync(join(app.package, 'build'), { recursive: true });
});

test('without a suitable addon, the error and doctor name a command that works in a package', () => {
  const prebuilds = join(app.package, 'prebuilds');
  renameSync(prebuilds, `${prebuilds}-away`);
  try {
    const said = use();
    const install = app.node([join(app.package, 'scripts/install.mjs')], { npm_command: 'install' });
    assert.is(install.status, 1);
    assert.match(
      install.stderr,
      'takes cmake-js and node-addon-api: npm install resnode cmake-js node-addon-api\n',
    );
    assert.match(said, /^device\/addon-missing\n/);
    assert.match(said, /linux-x64 with Node \d+.*npm rebuild resnode/);
    assert.not.match(said, 'npm run build');
    const doctor = app.node([join(app.package, 'dist/cli/main.js'), 'doctor']);
    assert.match(doctor.stdout + doctor.stderr, 'npm rebuild resnode');
    assert.not.match(doctor.stdout + doctor.stderr, 'npm run build');
    mkdirSync(join(prebuilds, 'linux-x64'), { recursive: true });
    writeFileSync(join(prebuilds, 'linux-x64/resnode.glibc.node'), 'cut short');
    assert.match(use(), /^device\/addon-missing\n.*resnode\.glibc\.node.*npm rebuild resnode/);
  } finally {
    rmSync(prebuilds, { recursive: true, force: true });
    renameSync(`${prebuilds}-away`, prebuilds);
  }
});

/** Code that needs files of the package, or another package. */
const READERS = `import { readNet } from 'resnode';
import { writeHdf5Weights } from 'resnode/convert';
import { describeNet, pageText } from 'resnode/tools';
import { openReport } from 'resnode/train';
const net = readNet('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }', { file: 'net' });
const say = ({ code, message }) => console.log(code + ' ' + message);
Promise.resolve().then(() => pageText(describeNet(net).data)).catch(say)
  .then(() => {
    const report = openReport('bundled.html');
    report.add({ type: 'iteration', iteration: 1, loss: 2, rate: 0.1, outputs: [] });
    return report.close();
  }).catch(say)
  .then(() => writeHdf5Weights('weights.h5', { name: '', layers: [] })).catch(say);`;

for (const format of ['esm', 'cjs'] as const)
  test(`bundled as ${format}: an error says to mark it as external, and then it works`, () => {
    const bundle = (source: string, ...external: string[]) => {
      app.write({ 'source.mjs': source });
      const outfile = join(app.folder, `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`);
      buildSync({
        entryPoints: [join(app.folder, 'source.mjs')],
        bundle: true,
        platform: 'node',
        format,
        outfile,
        external: ['sharp', ...external],
        logLevel: 'error',
        logOverride: { 'empty-import-meta': 'silent' },
      });
      const { stdout, stderr } = app.node([outfile]);
      return stdout + stderr;
    };
    const opens = `import { openDevice } from 'resnode';\n${open}`;
    assert.match(bundle(opens), /^device\/bundled\n.*--external:resnode/);
    assert.is(bundle(READERS).replaceAll(/ .*/g, ''), 'device/bundled\n'.repeat(3));
    if (format === 'esm' || requiresModules) assert.is(bundle(opens, 'resnode'), 'opened cpu\n');
  });

// The declarations of every entry point are compiled, those that CONSUMER uses and all others.
const CONSUMER = `
${declaredEntryPoints()
  .map((path, i) => `import type * as entry${i} from '${path.replace(/^\./, 'resnode')}';\n`)
  .join('')}
import { openDevice, ResnodeError, type Outputs } from 'resnode';
import { Solver } from 'resnode/train';
export async function main(): Promise<Float32Array> {
  using device = await openDevice('cpu', { threads: 1 });
  await using model = await device.load({ model: 'a.prototxt', weights: 'a.caffemodel' });
  const outputs: Outputs = await model.run({ data: new Float32Array(3) });
  for await (const event of new Solver({ solver: 's.prototxt', device }).run())
    if (event.type === 'test') console.log(event.iteration);
  if (outputs.prob === undefined) throw new Error('no prob');
  return outputs.prob.data;
}
export const isBusy = (error: unknown) => error instanceof ResnodeError && error.code === 'classifier/busy';
// @ts-expect-error: no error has this code
export const isLazy = (error: ResnodeError) => error.code === 'classifier/lazy';
// @ts-expect-error: a device has no such name
void openDevice('gpu');
`;
const REQUIRES = `
import resnode = require('resnode');
export const kinds: readonly resnode.DeviceKind[] = ['cpu', 'cuda:1'];
`;
// The oldest and the current version; all versions in between read the same declarations.
const COMPILERS = [
  { compiler: 'typescript-5.2', name: 'nodenext', file: 'consumer.mts', options: { module: 'nodenext' } },
  {
    compiler: 'typescript-5.2',
    name: 'bundler',
    file: 'consumer.ts',
    options: { module: 'esnext', moduleResolution: 'bundler' },
  },
  { compiler: 'typescript-7', name: 'node16', file: 'consumer.mts', options: { module: 'node16' } },
  {
    compiler: 'typescript-7',
    name: 'nodenext from a .cts',
    file: 'consumer.cts',
    options: { module: 'nodenext' },
  },
];
for (const { compiler, name, file, options } of COMPILERS)
  test(`${compiler} checks a program against the types, resolved as ${name}, without skipLibCheck`, () => {
    app.write({ 'consumer.mts': CONSUMER, 'consumer.ts': CONSUMER, 'consumer.cts': REQUIRES });
    assert.equal(mistakes(compiler, [file], options), []);
  });

/**
 * The errors that `compiler` finds in `files` and in the declarations that they import, including those of
 * dependencies.
 */
function mistakes(compiler: string, files: readonly string[], options: object): string[] {
  const settings = {
    ...{ noEmit: true, strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
    target: 'es2022',
    ...{ lib: ['es2022', 'esnext.disposable'], typeRoots: [module('@types')], types: ['node'] },
    ...options,
  };
  return compiler === 'typescript-7'
    ? mistakesByCommand(compiler, files, settings)
    : mistakesByLibrary(compiler, files, settings);
}

function mistakesByCommand(compiler: string, files: readonly string[], settings: object): string[] {
  app.write({ 'tsconfig.json': JSON.stringify({ compilerOptions: settings, files }) });
  const words = [module(`${compiler}/bin/tsc`), '-p', app.folder, '--pretty', 'false'];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  const found = stdout.split('\n').filter((line) => /\berror TS\d+/.test(line));
  assert.is(status === 0, found.length === 0, stdout + stderr);
  return found;
}

/** Skips the libraries of the compiler and of Node.js, which it would check without skipLibCheck. */
function mistakesByLibrary(compiler: string, files: readonly string[], settings: object): string[] {
  const ts = createRequire(import.meta.url)(compiler) as typeof import('typescript');
  const { options: parsed, errors } = ts.convertCompilerOptionsFromJson(settings, app.folder);
  const program = ts.createProgram(
    files.map((file) => join(app.folder, file)),
    parsed,
  );
  const own = program
    .getSourceFiles()
    .filter((file) => !program.isSourceFileDefaultLibrary(file) && !file.fileName.includes('/@types/node/'));
  return [
    ...[...errors, ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()],
    ...own.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ].map(
    ({ file, messageText }) =>
      `${file?.fileName ?? compiler}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  );
}

test.run();
