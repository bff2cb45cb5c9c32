/**
 * Whole runs of Caffe, repeated by the Solver: rates, losses, weights, .solverstate, and resuming from Caffe's own
 * files.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { type NetParameter, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import type { DataSource } from '../../ts/data/source.ts';
import { openDevice } from '../../ts/device/device.ts';
import { difference } from '../../ts/tools/parity/difference.ts';
import { Solver, type SolverOptions } from '../../ts/train/solver.ts';
import { goldenCases, readFloats, readJson } from '../support/golden.ts';
import { collect, ofType } from './fakes.ts';

interface Recorded {
  file: string;
  shape: number[];
  noise?: number;
}
interface Golden {
  case: string;
  iters: number;
  lr: number[];
  feed: Record<string, Recorded>;
  loss_blobs: string[];
  losses_per_forward: number[][];
  losses_noise?: number;
  first_raw_diffs: Record<string, Recorded[]>;
  track?: Record<string, Recorded[]>;
  params_after?: Record<string, Recorded[]>;
  final_weights: string;
  solverstate?: string;
  history: Recorded[];
  resume?: {
    iters: number;
    losses_per_forward: number[][];
    losses_noise?: number;
    params_after: Record<string, Recorded[]>;
  };
}

const temporary = mkdtempSync(join(tmpdir(), 'resnode-golden-solver-'));
test.after(() => rmSync(temporary, { recursive: true }));

function feed(folder: string, { feed }: Golden, first: number): DataSource {
  const arrays = Object.entries(feed).map(([name, { file, shape }]) => ({
    name,
    shape: shape.slice(1),
    slices: shape[0]!,
    values: readFloats(join(folder, file)),
  }));
  let pass = first;
  return {
    shapes: Object.fromEntries(arrays.map(({ name, shape }) => [name, shape])),
    epochSize: null,
    waited: 0,
    next: async () => {
      const f = pass++;
      return Object.fromEntries(
        arrays.map(({ name, values, slices }) => {
          const size = values.length / slices;
          return [name, values.slice((f % slices) * size, ((f % slices) + 1) * size)];
        }),
      );
    },
    state: () => pass,
    restore: (state) => {
      pass = state as number;
    },
    dispose: async () => {},
  };
}

// The mean over an iteration's passes of Σ weight · loss.
function weightedLosses({ loss_blobs, losses_per_forward, iters }: Golden, { layer = [] }: NetParameter) {
  const weights = loss_blobs.map(
    (blob) => layer.find(({ top }) => top?.includes(blob))?.loss_weight?.[0] ?? 1,
  );
  const passes = losses_per_forward.length / iters;
  return Float32Array.from({ length: iters }, (_, i) =>
    losses_per_forward
      .slice(i * passes, (i + 1) * passes)
      .flatMap((losses) => losses.map((loss, j) => (loss * weights[j]!) / passes))
      .reduce((sum, loss) => sum + loss, 0),
  );
}

const close = (actual: Float32Array, expected: Float32Array, noise: number | undefined, what: string) => {
  const { ok, absolute, tolerance } = difference(actual, expected, noise ?? 0);
  assert.ok(ok, `${what}: ${absolute} apart, ${tolerance} allowed`);
};

const meanAbsolute = (values: Float32Array) =>
  values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;

for (const folder of [...goldenCases('solver'), ...goldenCases('train')]) {
  const golden = readJson<Golden>(join(folder, 'manifest.json'));
  const net = readNetFile(join(folder, 'net.prototxt'));
  // Twenty iterations of a small ResNet amplify a rounding error at a ReLU's kink; `resnode parity` follows the CPU
  // through these.
  const kind = folder.includes('/train/') ? 'reference' : 'cpu';
  const noises = golden.params_after ?? golden.track!;
  const solver = async (iterations: number, options: Partial<SolverOptions>, first = 0, more = '') => {
    const prefix = join(temporary, golden.case);
    const text = readFileSync(join(folder, 'solver.prototxt'), 'utf8')
      .replace(/^net: .*$/m, '')
      .replace(/^snapshot_prefix: .*$/m, `snapshot_prefix: "${prefix}"`)
      .replace(/^max_iter: .*$/m, `max_iter: ${iterations} ${more}`);
    const parameter = { ...readSolver(text, { file: 'solver.prototxt' }), net_param: net };
    await using device = await openDevice(kind, { threads: 1 });
    return await collect(
      new Solver({ solver: parameter, device, data: async () => feed(folder, golden, first), ...options }),
    );
  };

  test(`${golden.case}: rates, losses, weights and .solverstate are Caffe's`, async () => {
    const events = await solver(golden.iters, { weights: join(folder, 'weights.caffemodel') });
    const iterations = ofType(events, 'iteration');
    assert.equal(
      iterations.map(({ rate }) => rate),
      golden.lr,
    );
    const losses = Float32Array.from(iterations, ({ loss }) => loss);
    close(losses, weightedLosses(golden, net), golden.losses_noise, 'losses');
    const [snapshot] = ofType(events, 'snapshot');
    const [ours, theirs] = [snapshot!.weights, join(folder, golden.final_weights)].map(
      (file) => readCaffemodel(readFileSync(file), { file }).layers,
    );
    const outline = (layers: typeof ours) =>
      layers!.map(({ name, type, blobs }) => ({
        name,
        type,
        shapes: blobs.map(({ shape }) => [...shape]),
      }));
    // Caffe's net has layers for blobs with several readers, without weights.
    const written = theirs!.filter(({ type }) => type !== 'Split');
    assert.equal(outline(ours), outline(written));
    for (const [i, { name, blobs }] of ours!.entries())
      for (const [j, blob] of blobs.entries()) {
        const expected = toFloat32(written[i]!.blobs[j]!);
        close(toFloat32(blob), expected, noises[name]?.[j]?.noise, `${name} ${j}`);
      }
    if (golden.solverstate === undefined) return;
    const state = await readSolverState(snapshot!.state);
    const caffe = await readSolverState(join(folder, golden.solverstate));
    assert.equal([state.iter, state.current_step], [caffe.iter, caffe.current_step]);
    assert.equal(
      state.history.map(({ shape }) => [...shape]),
      caffe.history.map(({ shape }) => [...shape]),
    );
    for (const [i, blob] of state.history.entries())
      close(toFloat32(blob), toFloat32(caffe.history[i]!), golden.history[i]!.noise, `history ${i}`);
  });

  if (golden.case === 'two_losses')
    test("debug_info prints Caffe's mean absolute diffs, before clipping and decay", async () => {
      const events = await solver(
        1,
        { weights: join(folder, 'weights.caffemodel') },
        0,
        'display: 1 debug_info: true',
      );
      const [info] = ofType(events, 'debug_info');
      const diffs = Object.entries(golden.first_raw_diffs).flatMap(([layer, blobs]) =>
        blobs.map(({ file }, index) => ({ layer, index, values: readFloats(join(folder, file)) })),
      );
      const near = (actual: number, expected: number) =>
        assert.ok(Math.abs(actual - expected) <= 1e-6 * expected);
      assert.equal(
        info!.parameters.map(({ layer, index }) => `${layer} ${index}`),
        diffs.map(({ layer, index }) => `${layer} ${index}`),
      );
      for (const [i, { values }] of diffs.entries()) near(info!.parameters[i]!.diff, meanAbsolute(values));
      const squares = diffs.flatMap(({ values }) => [...values].map((value) => value * value));
      near(info!.norms.diff.l2, Math.sqrt(squares.reduce((sum, value) => sum + value, 0)));
      const data = info!.blobs.find(({ blob }) => blob === 'data')!;
      near(data.data, meanAbsolute(readFloats(join(folder, golden.feed.data!.file)).slice(0, 30)));
      assert.is(data.diff, null);
    });

  const { resume } = golden;
  if (resume === undefined) continue;
  test(`${golden.case}: resumes from Caffe's own .solverstate as Caffe did`, async () => {
    const events = await solver(
      golden.iters + resume.iters,
      { snapshot: join(folder, golden.solverstate!) },
      golden.iters,
    );
    const losses = Float32Array.from(ofType(events, 'iteration'), ({ loss }) => loss);
    close(losses, Float32Array.from(resume.losses_per_forward.flat()), resume.losses_noise, 'losses');
    const file = ofType(events, 'snapshot')[0]!.weights;
    const { layers } = readCaffemodel(readFileSync(file), { file });
    for (const [name, arrays] of Object.entries(resume.params_after))
      for (const [j, { file: values, noise }] of arrays.entries()) {
        const blob = layers.find((layer) => layer.name === name)!.blobs[j]!;
        close(toFloat32(blob), readFloats(join(folder, values)), noise, `${name} ${j}`);
      }
  });
}

test.run();
