/** An interrupted and resumed run ends with the same bits as an uninterrupted one; and how it reports itself. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { warmupSolver } from '../../ts/architectures/solver-presets.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import { writeDatum } from '../../ts/data/datum.ts';
import { openNetData } from '../../ts/data/open-net-data.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { openDevice } from '../../ts/device/device.ts';
import type { SolverEvent } from '../../ts/train/events.ts';
import { Solver, type SolverOptions } from '../../ts/train/solver.ts';
import { collect, ofType } from './fakes.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-resume-'));
test.after(() => rmSync(root, { recursive: true }));

// 22 images: batches of 4 cross an epoch's end in the middle.
const random = seededRandom(5);
const writer = new LmdbWriter(join(root, 'images'));
for (let i = 0; i < 22; i++)
  writer.add(
    String(i).padStart(4, '0'),
    writeDatum({
      channels: 2,
      height: 10,
      width: 10,
      label: i % 3,
      data: Uint8Array.from({ length: 200 }, (_, j) => 40 * (i % 3) * ((j >> 2) % 2) + 100 * random()),
    }),
  );
writer.finish();

const NET = `name: "small"
  layer { name: "data" type: "Data" top: "data" top: "label"
    data_param { source: "${root}/images" backend: LMDB batch_size: 4 }
    transform_param { crop_size: 8 mirror: true scale: 0.01 } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 decay_mult: 1 }
    convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
  layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv"
    param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } }
  layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
  layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
  layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE kernel_size: 8 } }
  layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" dropout_param { dropout_ratio: 0.3 } }
  layer { name: "steep" type: "ScaleTanH" bottom: "pool" top: "steep"
    scale_tanh_param { step_size: 3 gamma: 0.2 power: 0.5 } }
  layer { name: "ip" type: "InnerProduct" bottom: "steep" top: "ip"
    inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
  layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }`;

const data: SolverOptions['data'] = (net, options) =>
  openNetData(net, { ...options, workers: 1, augment: { shuffle: options.phase === 'TRAIN', pad: 1 } });

const solverText = (prefix: string, more: string) => `
  net_param { ${NET} } base_lr: 0.05 lr_policy: "multistep" gamma: 0.5 stepvalue: 5 stepvalue: 8 max_iter: 11
  momentum: 0.9 weight_decay: 0.001 display: 1 random_seed: 3 test_iter: 2 test_interval: 3
  snapshot_prefix: "${prefix}" ${more}`;

/** All runs use one name for each file, so that their files have equal content. */
async function train(
  kind: 'reference' | 'cpu',
  name: string,
  more: string,
  options: Partial<SolverOptions> = {},
  onEvent?: (event: SolverEvent, solver: Solver) => void,
): Promise<SolverEvent[]> {
  mkdirSync(join(root, name), { recursive: true });
  const solver = readSolver(solverText(join(root, name, 'small'), more), { file: 'solver.prototxt' });
  await using device = await openDevice(kind, { threads: 2 });
  const running = new Solver({ solver, device, data, ...options });
  return await collect(running, (event) => onEvent?.(event, running));
}

async function outcome(name: string, suffix: string) {
  const base = join(root, name, 'small_iter_11');
  const { history, ...state } = await readSolverState(`${base}.solverstate${suffix}`);
  return {
    weights: suffix === '' ? readFileSync(`${base}.caffemodel`).toString('hex') : null,
    state: { ...state, learned_net: '' },
    history: history.map((blob) => [...toFloat32(blob)]),
    data: JSON.parse(readFileSync(`${base}.solverstate${suffix}.json`, 'utf8')),
  };
}
const rest = (events: readonly SolverEvent[], from: number) => ({
  tests: ofType(events, 'test')
    .filter(({ iteration }) => iteration >= from)
    .map(({ iteration, outputs }) => ({ iteration, outputs })),
  losses: ofType(events, 'iteration')
    .filter(({ iteration }) => iteration >= from)
    .map(({ loss, rate }) => ({ loss, rate })),
});

for (const [kind, settings] of [
  ['reference', ''],
  ['cpu', ''],
  ['cpu', 'type: "Adam" snapshot_format: HDF5'],
  ['cpu', 'iter_size: 2'],
] as const) {
  const suffix = settings.includes('HDF5') ? '.h5' : '';
  test(`${kind} ${settings}: stopped, resumed and whole runs end with the same bits`, async () => {
    const id = `${kind}-${settings.replaceAll(/\W+/g, '-')}`;
    const whole = await train(kind, `${id}-whole`, settings);
    const stopped = await train(kind, `${id}-parts`, settings, {}, (event, solver) => {
      if (event.type === 'iteration' && event.iteration === 6) solver.request('stop');
    });
    assert.is(ofType(stopped, 'done')[0]!.iteration, 7);
    const state = ofType(stopped, 'snapshot')[0]!.state;
    const resumed = await train(kind, `${id}-parts`, settings, { snapshot: state });
    assert.equal(rest(resumed, 7), rest(whole, 7));
    assert.equal(await outcome(`${id}-parts`, suffix), await outcome(`${id}-whole`, suffix));
    // It did learn, on data in another order in each epoch.
    assert.is.not(rest(whole, 7).losses[0]!.loss, rest(whole, 7).losses[1]!.loss);
  });
}

test('a warm-up as a separate solver, from whose snapshot the other resumes, ends with the bits of one run', async () => {
  const warmup = { iterations: 4, rate: 0.005 };
  await train('cpu', 'warm-whole', '', { warmup });
  const first = warmupSolver(
    readSolver(solverText(join(root, 'warm-stages', 'small'), ''), { file: 'solver.prototxt' }),
    warmup,
  );
  mkdirSync(join(root, 'warm-stages'), { recursive: true });
  using device = await openDevice('cpu', { threads: 2 });
  await collect(new Solver({ solver: first, device, data }));
  const snapshot = join(root, 'warm-stages', 'small_warmup_iter_4.solverstate');
  await train('cpu', 'warm-stages', '', { snapshot });
  const [stages, whole] = [await outcome('warm-stages', ''), await outcome('warm-whole', '')];
  assert.equal([stages.weights, stages.history], [whole.weights, whole.history]);
});

test('the event loop stays responsive while the CPU trains', async () => {
  let last = performance.now();
  let latest = 0;
  let ticks = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    latest = Math.max(latest, now - last - 10);
    last = now;
    ticks++;
  }, 10);
  try {
    await train('cpu', 'timer', 'snapshot: 4');
  } finally {
    clearInterval(timer);
  }
  assert.ok(ticks > 0);
  console.log(
    `figures: a 10 ms timer was late by ${latest.toFixed(1)} ms at most in ${ticks} ticks of a training`,
  );
});

test('a snapshot of another net whose blobs have equal sizes is refused with the first difference, before any of it is used', async () => {
  const events = await train('reference', 'first-net', '', {}, (event, solver) => {
    if (event.type === 'iteration' && event.iteration === 1) solver.request('stop');
  });
  const { state, weights } = ofType(events, 'snapshot')[0]!;
  const renamed = solverText(join(root, 'first-net', 'other'), '').replaceAll('"ip"', '"head"');
  await using device = await openDevice('reference', { threads: 1 });
  const resume = () =>
    collect(
      new Solver({
        solver: readSolver(renamed, { file: 'solver.prototxt' }),
        ...{ device, data, snapshot: state, partialWeights: true },
      }),
      () => {},
    );
  try {
    await resume();
    assert.unreachable('was resumed');
  } catch (error) {
    assert.is((error as { code?: string }).code, 'weights/other-net', String(error));
    assert.match(
      String(error),
      /another net: its history \d belongs to ip\/0 3×6, but this net has head\/0 3×6 there/,
    );
    assert.match(String(error), new RegExp(`--weights ${weights}`));
  }
  const extra = JSON.parse(readFileSync(`${state}.json`, 'utf8'));
  writeFileSync(`${state}.json`, JSON.stringify({ ...extra, parameters: undefined }));
  assert.is(ofType(await resume(), 'done').length, 1);
});

test.run();
