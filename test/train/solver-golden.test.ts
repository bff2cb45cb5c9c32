/** Whole runs of Caffe, repeated by the solver: rates, losses, weights, .solverstate, resuming from Caffe's own. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { readNetFile } from '../../ts/caffe/net-parameter.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import type { DataSource } from '../../ts/data/source.ts';
import { difference } from '../../ts/parity/difference.ts';
import { openDevice } from '../../ts/runtime/device.ts';
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
  loss_per_iteration: number[];
  losses_noise?: number;
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

const close = (actual: Float32Array, expected: Float32Array, noise: number | undefined, what: string) => {
  const { ok, absolute, tolerance } = difference(actual, expected, noise ?? 0);
  assert.ok(ok, `${what}: ${absolute} apart, ${tolerance} allowed`);
};

const kinds = ['reference', 'cpu'] as const;
for (const folder of [...goldenCases('solver'), ...goldenCases('train')]) {
  const golden = readJson<Golden>(join(folder, 'manifest.json'));
  const net = readNetFile(join(folder, 'net.prototxt'));
  const noises = golden.params_after ?? golden.track!;
  const solver = async (
    kind: (typeof kinds)[number],
    iterations: number,
    options: Partial<SolverOptions>,
    first = 0,
  ) => {
    const prefix = join(temporary, `${golden.case}-${kind}`);
    const text = readFileSync(join(folder, 'solver.prototxt'), 'utf8')
      .replace(/^net: .*$/m, '')
      .replace(/^snapshot_prefix: .*$/m, `snapshot_prefix: "${prefix}"`)
      .replace(/^max_iter: .*$/m, `max_iter: ${iterations}`);
    const parameter = { ...readSolver(text, { file: 'solver.prototxt' }), net_param: net };
    await using device = await openDevice(kind, { threads: 1 });
    return collect(
      new Solver({ solver: parameter, device, data: async () => feed(folder, golden, first), ...options }),
    );
  };

  for (const kind of kinds)
    test(`${golden.case} on ${kind}: rates, losses, weights and .solverstate are Caffe's`, async () => {
      const events = await solver(kind, golden.iters, { weights: join(folder, 'weights.caffemodel') });
      const iterations = ofType(events, 'iteration');
      assert.equal(
        iterations.map(({ rate }) => rate),
        golden.lr,
      );
      const losses = Float32Array.from(iterations, ({ loss }) => loss);
      close(losses, Float32Array.from(golden.loss_per_iteration), golden.losses_noise, 'losses');
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
      assert.equal(outline(ours), outline(theirs));
      for (const [i, { name, blobs }] of ours!.entries())
        for (const [j, blob] of blobs.entries()) {
          const expected = toFloat32(theirs![i]!.blobs[j]!);
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

  const { resume } = golden;
  if (resume === undefined) continue;
  for (const kind of kinds)
    test(`${golden.case} on ${kind}: goes on from Caffe's own .solverstate as Caffe did`, async () => {
      const events = await solver(
        kind,
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
