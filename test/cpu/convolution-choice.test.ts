/** The CPU device chooses among its own convolutions by measuring once and remembers the choice between processes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import { SGD_UPDATE, withLoss } from '../../ts/device/plan-training.ts';
import { type DeviceOptions, type LayerParameter, type NetParameter, openDevice } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';
import { hasMatrices } from '../support/open-kernels.ts';
import { nameWinners } from '../support/tuning-cache.ts';

const net = (batch: number): NetParameter => ({
  name: 'one',
  layer: [
    { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [batch, 64, 14, 14] }] } },
    {
      name: 'conv',
      type: 'Convolution',
      bottom: ['data'],
      top: ['conv'],
      convolution_param: {
        num_output: 64,
        kernel_size: [3],
        pad: [1],
        weight_filler: { type: 'gaussian', std: 0.1 },
      },
    },
  ],
});

const PROTOTXT = `
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 64 dim: 14 dim: 14 } } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 64 kernel_size: 3 pad: 1 } }`;

const newFolder = () => join(mkdtempSync(join(tmpdir(), 'resnode-')), 'cache');
const fileIn = (folder: string) => join(folder, 'convolutions-1.txt');
const linesIn = (folder: string) => readFileSync(fileIn(folder), 'utf8').split('\n').slice(0, -1);
const open = (cacheFolder: string, options: DeviceOptions = {}) =>
  openDevice('cpu', { threads: 2, cacheFolder, ...options });

async function implementation(cacheFolder: string, options: DeviceOptions = {}, batch = 1): Promise<string> {
  await using device = await open(cacheFolder, options);
  return (await device.plan({ model: net(batch) })).operations[0]!.implementation;
}

/** Rewrites every line so that another algorithm is the winner. */
const elect = (winner: string, folder: string) => nameWinners(folder, () => winner, '1.000');

const [hasOwnKernels, withChoice] = await (async (): Promise<[boolean, DeviceOptions]> => {
  await using device = await openDevice('cpu');
  // With AMX there is no choice in int8.
  if (hasMatrices(device)) return [true, { kernels: 'AVX-512' }];
  if (device.description.kernels !== 'oneDNN') return [true, {}];
  console.log('skipped: this processor has no kernels to choose from');
  return [false, {}];
})();

const measured: typeof test = hasOwnKernels ? test : (Object.assign(() => {}, test) as typeof test);

measured('a process measures new problems; the next one reads the winners and measures nothing', () => {
  const folder = newFolder();
  const model = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'one.prototxt');
  writeFileSync(model, PROTOTXT);
  const plan = (threads: number) => {
    const words = [...COMMAND, 'plan', model, '--device', 'cpu', '--threads', `${threads}`, '--json'];
    const { status, stderr, stdout } = spawnSync(process.execPath, words, {
      encoding: 'utf8',
      cwd: repositoryFolder,
      env: { ...process.env, XDG_CACHE_HOME: folder },
    });
    assert.is(status, 0, stderr);
    // Every measurement is stored, and every save replaces the file.
    const { ino, mtimeNs } = statSync(fileIn(join(folder, 'resnode')), { bigint: true });
    return {
      batches: JSON.parse(stdout).batches,
      file: `${ino} ${mtimeNs}`,
      lines: linesIn(join(folder, 'resnode')),
    };
  };
  const { lines } = plan(2);
  assert.is(lines.length, 1);
  assert.match(
    lines[0]!,
    /threads 2 1x64x14x14 to 64x14x14 .*\t(Winograd 4×4|direct)( \(disturbed\))?\t[\d.]+\t/,
  );
  elect('direct', join(folder, 'resnode')); // whether or not other processes disturbed the measurement
  const first = plan(2);
  assert.equal(plan(2), first);
  assert.is(plan(1).lines.length, 2, 'with another number of threads it is another problem');
});

measured('the remembered winner computes, whichever it is, with the same result to 4e-6', async () => {
  const folder = newFolder();
  await implementation(folder);
  const data = Float32Array.from({ length: 64 * 14 * 14 }, (_, i) => Math.sin(i * i));
  await using reference = await openDevice('reference');
  await using expected = await reference.load({ model: net(1) });
  const { conv } = await expected.run({ data });
  const largest = conv!.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const winner of ['direct', 'Winograd 4×4']) {
    elect(winner, folder);
    await using device = await open(folder);
    const { arenaBytes, workspaceBytes, operations } = await device.plan({ model: net(1) });
    assert.match(operations[0]!.implementation, winner);
    await using model = await device.load({ model: net(1) });
    const { activations, workspace } = device.memory();
    assert.equal([arenaBytes, workspaceBytes], [activations, workspace]);
    const found = (await model.run({ data })).conv!.data;
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - conv!.data[i]!)), 0);
    assert.ok(worst <= 4e-6 * largest, `${winner}: ${worst / largest}`);
  }
});

measured(
  'the next device repeats a measurement that other processes disturbed, whose result holds for one device',
  async () => {
    const folder = newFolder();
    await implementation(folder);
    elect('direct (disturbed)', folder);
    const time = () => linesIn(folder)[0]!.split('\t').at(-2);
    assert.is(time(), '1.000');
    await using device = await open(folder);
    const plan = async () => (await device.plan({ model: net(1) })).operations[0]!.implementation;
    const first = await plan();
    const measuredTime = time();
    assert.is.not(measuredTime, '1.000');
    assert.is(await plan(), first);
    assert.is(time(), measuredTime);
  },
);

const taskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0;
if (hasOwnKernels && !taskset) console.log('skipped: taskset, which gives two threads one core, is not here');
(taskset ? measured : Object.assign(() => {}, test))(
  'a measurement whose threads waited for a core says so',
  () => {
    const model = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'one.prototxt');
    writeFileSync(model, PROTOTXT.replaceAll('14', '56'));
    const words = [...COMMAND, 'plan', model, '--device', 'cpu', '--threads', '2'];
    const measure = () => {
      const folder = newFolder();
      const { status, stderr } = spawnSync('taskset', ['-c', '0', process.execPath, ...words], {
        encoding: 'utf8',
        cwd: repositoryFolder,
        env: { ...process.env, XDG_CACHE_HOME: folder },
      });
      assert.is(status, 0, stderr);
      return linesIn(join(folder, 'resnode'))[0]!;
    };
    // Linux counts a wait when it ends, so a thread that gets no core until the measurement is over has no wait
    // counted.
    const isDisturbed = () => / \(disturbed\)\t[\d.]+\t/.test(measure());
    assert.ok([1, 2, 3, 4, 5].some(isDisturbed));
  },
);

measured('a second measurement that agrees with a disturbed one counts as undisturbed', async () => {
  for (const winner of ['direct', 'Winograd 4×4']) {
    const folder = newFolder();
    await implementation(folder);
    elect(`${winner} (disturbed)`, folder);
    await implementation(folder);
    assert.is.not(linesIn(folder)[0]!.split('\t').at(-3), `${winner} (disturbed)`);
  }
});

measured('more than 8 images are measured as 8', async () => {
  const folder = newFolder();
  for (const batch of [8, 9, 64]) await implementation(folder, {}, batch);
  assert.is(linesIn(folder).length, 1);
});

// The system's size of a core's L2 cache; 0: unknown.
const cacheBytes = Number(spawnSync('getconf', ['LEVEL2_CACHE_SIZE'], { encoding: 'utf8' }).stdout) || 0;

measured(
  "weights are measured in a core's cache, in the shared one or in memory, wherever the net's fit",
  async () => {
    const bytesPerOutput = 64 * 14 * 14 * 4;
    const inCaches = async (bytes: number) => {
      const folder = newFolder();
      const classifier: LayerParameter = {
        name: 'classifier',
        type: 'InnerProduct',
        bottom: ['conv'],
        top: ['classifier'],
        inner_product_param: { num_output: Math.ceil(bytes / bytesPerOutput) },
      };
      await using device = await open(folder);
      await device.plan({ model: { ...net(1), layer: [...net(1).layer!, classifier] } });
      return linesIn(folder)[0]!.match(/(direct|Winograd 4×4) (cached|in the shared cache)(?=.*?\t)/g) ?? [];
    };
    assert.equal(await inCaches(4 * cacheBytes), []);
    if (cacheBytes < 2 ** 20) return; // the convolution alone fills it, transformed
    // Winograd's weights take four times the memory.
    assert.equal(await inCaches(0.5 * cacheBytes), ['direct cached', 'Winograd 4×4 in the shared cache']);
    assert.equal(await inCaches(0.01 * cacheBytes), ['direct cached', 'Winograd 4×4 cached']);
  },
);

measured('a damaged file costs another measurement, and is repaired', async () => {
  const folder = newFolder();
  await implementation(folder);
  const [line] = linesIn(folder);
  for (const damage of [line!.replace(/direct|Winograd 4×4/, 'magic'), line!.slice(0, 40), '\0\t\t\t', '']) {
    writeFileSync(fileIn(folder), `${damage}\n`);
    assert.match(await implementation(folder), /^(direct|Winograd 4×4) /);
    const lines = linesIn(folder);
    assert.is(lines.length, 1, damage);
    assert.match(lines[0]!, /\t(direct|Winograd 4×4)( \(disturbed\))?\t/);
  }
});

measured('if nothing can be written, a device still remembers, so its plans are equal', async () => {
  const folder = newFolder();
  writeFileSync(folder, 'a file');
  await using device = await open(join(folder, 'cache'));
  const plans = [];
  for (let i = 0; i < 5; i++) {
    const { operations, parameterBytes, workspaceBytes } = await device.plan({ model: net(1) });
    plans.push({ operations, parameterBytes, workspaceBytes });
  }
  for (const plan of plans) assert.equal(plan, plans[0]);
});

measured(
  '8-bit integers are another problem, and the winner, whichever it is, computes the same bits',
  async () => {
    const folder = newFolder();
    await implementation(folder);
    const ranges = { 'data@data': 1, 'conv@conv': 20 };
    const calibration = calibrationOf({ net: 'one', method: 'min-max', percentile: null, images: 1, ranges });
    const compute = async () => {
      await using device = await open(folder, withChoice);
      await using model = await device.load({ model: net(1), precision: 'int8', calibration });
      const [conv] = Object.values(
        await model.run({ data: Float32Array.from({ length: 64 * 14 * 14 }, (_, i) => Math.sin(i * i)) }),
      );
      return { implementation: model.plan().operations[0]!.implementation, values: conv!.data };
    };
    const { implementation: first } = await compute();
    if (!/^int8 (direct|Winograd) /.test(first)) return console.log(`skipped: here it is computed ${first}`);
    const lines = linesIn(folder);
    assert.is(lines.length, 2);
    assert.match(lines.find((line) => line.includes('int8'))!, /int8 signed .*threads 2 1x64x14x14/);
    elect('direct', folder);
    const direct = await compute();
    elect('Winograd 4×4', folder);
    const winograd = await compute();
    assert.match(direct.implementation, /^int8 direct /);
    assert.match(winograd.implementation, /^int8 Winograd 4×4 /);
    assert.equal(winograd.values, direct.values);
  },
);

measured('nothing is measured if there is no choice, or if tuning is off', async () => {
  const folder = newFolder();
  for (const options of [
    { deterministic: true },
    { tune: false },
    { winograd: false },
    { kernels: 'oneDNN' },
  ] as const)
    await implementation(folder, options);
  await using device = await open(folder);
  await device.plan({ model: net(1), deterministic: true });
  const fc: LayerParameter = {
    name: 'fc',
    type: 'InnerProduct',
    bottom: ['conv'],
    top: ['fc'],
    inner_product_param: { num_output: 10 },
  };
  const prob: LayerParameter = { name: 'prob', type: 'Softmax', bottom: ['fc'], top: ['prob'] };
  const trained = withLoss({ name: 'trained', layer: [...net(1).layer!, fc, prob] });
  using _ = await device.train({ model: trained, update: SGD_UPDATE });
  assert.not(existsSync(folder));
  await device.plan({ model: net(1) });
  assert.ok(existsSync(folder), 'what is wanted is measured');
});

test.run();
