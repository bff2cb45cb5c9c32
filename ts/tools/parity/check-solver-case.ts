/** Replays a run of a solver, iteration by iteration, and its continuation from a .solverstate. */
import { join } from 'node:path';
import { toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import { checkSolver } from '../../caffe/check-solver.ts';
import { readSolverFile } from '../../caffe/solver-parameter.ts';
import { readSolverState } from '../../caffe/solver-state.ts';
import type { Device } from '../../device/device.ts';
import type { Outputs } from '../../device/model.ts';
import type { Trainer, TrainOptions } from '../../device/trainer.ts';
import { updateRule } from '../../train/open-training.ts';
import { Schedule } from '../../train/schedules.ts';
import { type Move, passes } from './across-kinks.ts';
import { type Check, compare, compareParameters, expectation } from './check.ts';
import { diffsByPlace, readWeightsAt } from './check-backward.ts';
import { difference } from './difference.ts';
import { type Parameters, readRecorded, type SolverCase } from './golden-case.ts';

type Case = SolverCase & { readonly folder: string };

/**
 * @param isTrial Whether it ends after the first iteration that diverges.
 * @throws as Device.train, Trainer.step, Device.load and Model.run
 */
export async function checkSolverCase(
  device: Device,
  golden: Case,
  move: Move,
  isTrial = false,
): Promise<Check[]> {
  const ends = (checks: readonly Check[]) => isTrial && !passes(checks);
  const replay = new Replay(device, golden, move);
  const checks = golden.first_raw_diffs === undefined ? [] : await replay.firstDiffs(golden.first_raw_diffs);
  if (!ends(checks)) checks.push(...(await replay.run(ends)));
  if (golden.resume !== undefined && !ends(checks)) checks.push(...(await replay.resume(golden.resume)));
  return checks;
}

class Replay {
  readonly #device: Device;
  readonly #golden: Case;
  readonly #move: Move;
  readonly #solver;
  readonly #feed: Readonly<Record<string, readonly Float32Array[]>>;

  constructor(device: Device, golden: Case, move: Move) {
    this.#device = device;
    this.#golden = golden;
    this.#move = move;
    this.#solver = checkSolver(readSolverFile(join(golden.folder, golden.solver))).parameters;
    this.#feed = Object.fromEntries(
      Object.entries(golden.feed).map(([blob, recorded]) => {
        const values = readRecorded(golden.folder, recorded);
        const batches = recorded.shape[0]!;
        const size = values.length / batches;
        return [blob, Array.from({ length: batches }, (_, i) => values.subarray(i * size, (i + 1) * size))];
      }),
    );
  }

  /** The diffs of the first iteration before any processing, summed over its passes. */
  async firstDiffs(recorded: Parameters): Promise<Check[]> {
    await using trainer = await this.#train({ update: null });
    const sums = new Map<string, Float32Array>();
    const parameterLayers = new Set(
      (this.#golden.structure?.layers ?? []).flatMap(({ name, type }) =>
        type === 'Parameter' ? [name] : [],
      ),
    );
    for (let pass = 0; pass < this.#solver.iter_size; pass++) {
      const { parameters } = await trainer.gradients(this.#batch(pass));
      for (const [place, diff] of diffsByPlace(trainer.learnable, parameters)) {
        // A Parameter layer's diff is overwritten by each pass (append-update.ts).
        const before = parameterLayers.has(place.replace(/\/\d+$/, '')) ? undefined : sums.get(place);
        sums.set(place, before === undefined ? diff : diff.map((value, i) => value + before[i]!));
      }
    }
    return compareParameters(this.#golden.folder, recorded, sums, label('first diff of ', 0));
  }

  async run(ends: (checks: readonly Check[]) => boolean): Promise<Check[]> {
    const golden = this.#golden;
    const { folder, iters } = golden;
    const checks: Check[] = [];
    const schedule = new Schedule(this.#solver);
    await using trainer = await this.#train({ update: updateRule(this.#solver) });
    for (let iteration = 0; iteration < iters; iteration++) {
      const rate = schedule.rate(iteration);
      checks.push(
        expectation(rate === golden.lr[iteration], label('', iteration)(`rate ${rate}`, '')),
        ...(await this.#iterate(trainer, iteration, rate, golden, iteration)),
      );
      if (iteration === 0 && golden.params_after_1 !== undefined)
        checks.push(
          ...compareParameters(folder, golden.params_after_1, await valuesOf(trainer), label('', 0)),
        );
      if (golden.track !== undefined)
        checks.push(...this.#tracked(golden.track, await valuesOf(trainer), iteration));
      if (ends(checks)) return checks;
    }
    const last = label('', iters - 1);
    const weights = await trainer.weights();
    if (golden.params_after !== undefined)
      checks.push(...compareParameters(folder, golden.params_after, valuesIn(weights), last));
    checks.push(...(await this.#history(trainer, schedule)), ...this.#finalWeights(weights));
    if (golden.test_eval !== undefined) checks.push(...(await this.#test(weights, golden.test_eval.blobs)));
    return checks;
  }

  /** Resumes from the state that Caffe wrote. */
  async resume(recorded: NonNullable<SolverCase['resume']>): Promise<Check[]> {
    const { folder, solverstate, final_weights: weights } = this.#golden;
    const state = await readSolverState(join(folder, solverstate));
    const schedule = new Schedule(this.#solver, {}, state.current_step);
    await using trainer = await this.#train({
      update: updateRule(this.#solver),
      weights,
      history: state.history.map(toFloat32),
    });
    const checks: Check[] = [];
    for (let i = 0; i < recorded.iters; i++) {
      const iteration = state.iter + i;
      checks.push(...(await this.#iterate(trainer, iteration, schedule.rate(iteration), recorded, i)));
    }
    const last = label('resumed ', recorded.iter_after - 1);
    return [...checks, ...compareParameters(folder, recorded.params_after, await valuesOf(trainer), last)];
  }

  #train({
    weights = this.#golden.weights,
    ...options
  }: Pick<TrainOptions, 'update' | 'history'> & { weights?: string }): Promise<Trainer> {
    const { folder, net } = this.#golden;
    const moved = this.#move(readWeightsAt(join(folder, weights)));
    return this.#device.train({ model: join(folder, net), weights: moved, ...options });
  }

  #batch(pass: number): Record<string, Float32Array> {
    return Object.fromEntries(
      Object.entries(this.#feed).map(([blob, batches]) => [blob, batches[pass % batches.length]!]),
    );
  }

  // All passes of an iteration; `nth`: where it stands among those recorded.
  async #iterate(
    trainer: Trainer,
    iteration: number,
    rate: number,
    recorded: Pick<SolverCase, 'losses_per_forward' | 'losses_noise'>,
    nth: number,
  ): Promise<Check[]> {
    const { iter_size } = this.#solver;
    const checks: Check[] = [];
    for (let sub = 0; sub < iter_size; sub++) {
      const [first, last] = [sub === 0, sub === iter_size - 1];
      const inputs = this.#batch(iteration * iter_size + sub);
      const outputs: Outputs = await trainer.step(inputs, { rate, iteration, first, last });
      this.#golden.loss_blobs.forEach((blob, i) => {
        const expected = Float32Array.of(recorded.losses_per_forward[nth * iter_size + sub]![i]!);
        const deviation = difference(outputs[blob]!.data, expected, recorded.losses_noise);
        checks.push({ ...label('', iteration)(blob, blob), ...deviation });
      });
    }
    return checks;
  }

  #tracked(recorded: Parameters, values: ReadonlyMap<string, Float32Array>, iteration: number): Check[] {
    return Object.entries(recorded).flatMap(([layer, list]) =>
      list.map((array, i) => {
        const actual = values.get(`${layer}/${i}`)!;
        const expected = readRecorded(this.#golden.folder, array).subarray(
          iteration * actual.length,
          (iteration + 1) * actual.length,
        );
        return {
          ...label('', iteration)(`${layer}, blob ${i}`, layer),
          ...difference(actual, expected, array.noise),
        };
      }),
    );
  }

  async #history(trainer: Trainer, schedule: Schedule): Promise<Check[]> {
    const { folder, history, iters, solverstate, solverstate_iter, solverstate_current_step } = this.#golden;
    const values = await trainer.history();
    const state = await readSolverState(join(folder, solverstate));
    const name = label('', iters - 1);
    return [
      expectation(values.length === history.length, name(`${values.length} histories`, '')),
      expectation(state.iter === solverstate_iter, name(`${solverstate}: iteration ${state.iter}`, '')),
      expectation(
        schedule.currentStep === solverstate_current_step,
        name(`current step ${schedule.currentStep}`, ''),
      ),
      ...history.map((recorded, i) =>
        compare(
          folder,
          recorded,
          values[i] ?? new Float32Array(),
          name(`history ${recorded.slot} of ${recorded.layer}, blob ${recorded.blob}`, recorded.layer),
        ),
      ),
    ];
  }

  // The same blobs in the same shapes as in Caffe's file; how far their values may be apart is known of the arrays.
  #finalWeights(weights: WeightsFile): Check[] {
    const { folder, final_weights: file, iters } = this.#golden;
    const recorded = readWeightsAt(join(folder, file));
    const blobs = ({ layers }: WeightsFile) =>
      layers
        .filter((layer) => layer.blobs.length > 0)
        .map(({ name, type, blobs }) => `${name} ${type} ${blobs.map(({ shape }) => shape.join('×'))}`);
    const [actual, expected] = [blobs(weights), blobs(recorded)];
    const name = label('', iters - 1);
    return [
      expectation(actual.length === expected.length, name(`${file}: ${actual.length} layers with blobs`, '')),
      ...expected.map((text, i) => expectation(text === actual[i], name(`${file}: ${actual[i]}`, ''))),
    ];
  }

  async #test(
    weights: WeightsFile,
    recorded: NonNullable<SolverCase['test_eval']>['blobs'],
  ): Promise<Check[]> {
    const { folder, net, iters } = this.#golden;
    const outputs = Object.keys(recorded);
    await using model = await this.#device.load({
      model: join(folder, net),
      phase: 'TEST',
      weights,
      outputs,
    });
    const results = await model.run(this.#batch(0));
    return outputs.map((blob) =>
      compare(folder, recorded[blob]!, results[blob]!.data, {
        ...label('', iters - 1)(blob, blob),
        mode: 'tested',
      }),
    );
  }
}

/** The subject of an iteration's check; `pass` is the iteration. */
const label = (prefix: string, iteration: number) => (name: string, layer: string) => ({
  name: `${prefix}${name}`,
  layer,
  mode: 'training',
  pass: iteration,
});

const valuesOf = async (trainer: Trainer) => valuesIn(await trainer.weights());

const valuesIn = ({ layers }: WeightsFile): ReadonlyMap<string, Float32Array> =>
  new Map(
    layers.flatMap(({ name, blobs }) => blobs.map((blob, i) => [`${name}/${i}`, toFloat32(blob)] as const)),
  );
