/**
 * Processes that train together, simulated as solvers in one process: whatever happens to one, nobody waits for ever.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResnodeError } from '../../ts/base/errors.ts';
import type { SolverEvent } from '../../ts/train/events.ts';
import type { Solver, SolverOptions } from '../../ts/train/solver.ts';
import { type Fakes, fakeSolver, fakes, ofType } from './fakes.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-agreement-'));
test.after(() => rmSync(root, { recursive: true }));
let count = 0;

/**
 * Where processes wait for each other. A process that waits at another point than the rest, or for one that ended, gets
 * an error.
 */
class Meeting {
  readonly #waiting = new Map<
    number,
    { place: string; values: Float32Array; meet: (sum: Float32Array) => void; fail: (error: Error) => void }
  >();
  readonly #ended = new Set<number>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  wait(rank: number, place: string, values: Float32Array = new Float32Array()): Promise<Float32Array> {
    return new Promise((meet, fail) => {
      this.#waiting.set(rank, { place, values, meet, fail });
      this.#look();
    });
  }

  end(rank: number): void {
    this.#ended.add(rank);
    this.#look();
  }

  #look(): void {
    if (this.#waiting.size + this.#ended.size < this.#size || this.#waiting.size === 0) return;
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    const places = new Set(all.map(({ place, values }) => `${place} of ${values.length}`));
    if (this.#ended.size > 0 || places.size > 1)
      for (const { fail } of all)
        fail(new Error(`deadlock: ${[...places].join(', ')}; ended: ${[...this.#ended]}`));
    else {
      const sum = Float32Array.from(all[0]!.values, (_, i) =>
        all.reduce((total, { values }) => total + values[i]!, 0),
      );
      for (const { meet } of all) meet(sum);
    }
  }
}

interface Process {
  readonly rank: number;
  readonly world: Fakes;
  options: Partial<SolverOptions>;
  signal?: AbortSignal;
  /** The user's reaction to an event; `leave` ends the loop. */
  onEvent: (event: SolverEvent, solver: Solver) => unknown;
}

interface Ended {
  readonly events: SolverEvent[];
  readonly error: ResnodeError | null;
}

/** Runs two solvers; `befall` decides what happens to which. */
async function runTwo(
  text: string,
  befall: (processes: readonly [Process, Process], folder: string) => void = () => {},
): Promise<{ first: Ended; second: Ended; folder: string }> {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  const meeting = new Meeting(2);
  const processes = [0, 1].map((rank): Process => {
    const world = fakes();
    const { device } = world;
    Object.assign(device, {
      communicator: { rank, size: 2, sum: (values: Float32Array) => meeting.wait(rank, 'sum', values) },
      train: together(device.train.bind(device), () => meeting.wait(rank, 'step')),
    });
    return { rank, world, options: {}, onEvent: () => {} };
  }) as [Process, Process];
  befall(processes, folder);
  const [first, second] = await Promise.all(
    processes.map(async ({ rank, world, options, signal, onEvent }): Promise<Ended> => {
      const events: SolverEvent[] = [];
      try {
        const solver = fakeSolver(world, folder, text, options);
        for await (const event of solver.run(signal === undefined ? {} : { signal })) {
          events.push(event);
          if (onEvent(event, solver) === 'leave') break;
        }
        return { events, error: null };
      } catch (error) {
        return { events, error: error as ResnodeError };
      } finally {
        meeting.end(rank);
        assert.is(world.open, 0, `process ${rank} left something open`);
      }
    }),
  );
  return { first: first!, second: second!, folder };
}

/** A device whose steps wait for the other process's, as the mean of their diffs does. */
const together =
  (train: Fakes['device']['train'], meet: () => Promise<unknown>): Fakes['device']['train'] =>
  async (options) => {
    const trainer = await train(options);
    const { step } = trainer;
    trainer.step = async (...words) => {
      const result = await step(...words);
      await meet();
      return result;
    };
    return trainer;
  };

const last = ({ events }: Ended) => events.at(-1) as Extract<SolverEvent, { type: 'done' }>;
const SOLVER = 'max_iter: 6 snapshot: 3 test_iter: 1 test_interval: 2 random_seed: 1';

test('two processes train to the end, and only the first tests and writes', async () => {
  const { first, second } = await runTwo(SOLVER);
  assert.equal([first.error, second.error], [null, null]);
  assert.equal([last(first).reason, last(second).reason], ['finished', 'finished']);
  assert.equal([ofType(first.events, 'test').length, ofType(second.events, 'test').length], [4, 0]);
  assert.equal([ofType(first.events, 'snapshot').length, ofType(second.events, 'snapshot').length], [2, 0]);
});

test('without a seed in the solver, the first process’s is used', async () => {
  const { first, second } = await runTwo('max_iter: 1 snapshot_after_train: false');
  assert.is(ofType(first.events, 'start')[0]!.seed, ofType(second.events, 'start')[0]!.seed);
});

for (const asked of [0, 1])
  test(`if process ${asked} is asked to stop, both do, after the same iteration, and the first writes`, async () => {
    const { first, second } = await runTwo(SOLVER, (processes) => {
      processes[asked]!.onEvent = (event, solver) => {
        if (event.type === 'iteration' && event.iteration === 3) solver.request('stop');
      };
    });
    for (const each of [first, second])
      assert.equal([last(each).reason, last(each).iteration], ['stopped', 4]);
    assert.equal(
      ofType(first.events, 'snapshot').map(({ iteration, reason }) => [iteration, reason]),
      [
        [3, 'interval'],
        [4, 'end'],
      ],
    );
  });

test('a snapshot requested from the second process is written by the first', async () => {
  const { first } = await runTwo('max_iter: 4 random_seed: 1', ([, second]) => {
    second.onEvent = (event, solver) => {
      if (event.type === 'iteration' && event.iteration === 1) solver.request('snapshot');
    };
  });
  assert.equal(
    ofType(first.events, 'snapshot').map(({ iteration, reason }) => [iteration, reason]),
    [
      [2, 'request'],
      [4, 'end'],
    ],
  );
});

test('a weight that is infinite at a snapshot ends both, and is not called a bad loss', async () => {
  const { first, second, folder } = await runTwo(SOLVER, ([{ world }]) => {
    const { train } = world.device;
    world.device.train = async (options) => {
      const trainer = await train(options);
      const weights = trainer.weights.bind(trainer);
      trainer.weights = async () => {
        const all = await weights();
        new Float32Array(all.layers[0]!.blobs[0]!.bytes.buffer)[0] = Number.POSITIVE_INFINITY;
        return all;
      };
      return trainer;
    };
  });
  const [own] = ofType(first.events, 'diverged');
  assert.is(own!.reason, 'weights');
  assert.match(own!.message, /iteration 3: the weights are not finite; first bad layer "ip"/);
  assert.not.match(own!.message, /the loss is/);
  const [others] = ofType(second.events, 'diverged');
  assert.is(others!.reason, 'other');
  assert.match(others!.message, /training diverged in process 0/);
  for (const each of [first, second]) assert.is(last(each).reason, 'diverged');
  assert.not.ok(existsSync(join(folder, 'fake_iter_3.caffemodel')));
});

for (const bad of [0, 1])
  test(`a NaN loss in process ${bad} ends both`, async () => {
    const ended = await runTwo(SOLVER, (processes) => {
      processes[bad]!.world.loss = (pass) => (pass === 4 ? Number.NaN : 1);
    });
    const [own, other] = bad === 0 ? [ended.first, ended.second] : [ended.second, ended.first];
    assert.is(ofType(own.events, 'diverged')[0]!.reason, 'nan');
    assert.is(ofType(other.events, 'diverged')[0]!.reason, 'other');
  });

const failing =
  (error: Error, at: number): SolverOptions['data'] =>
  async (net, options) => {
    const source = await fakes().data(net, options);
    let given = 0;
    return {
      ...source,
      next: async (signal?: AbortSignal) => {
        if (options.phase === 'TRAIN' && given++ === at) throw error;
        return source.next(signal);
      },
    };
  };

for (const [what, text, befall] of [
  [
    'raises in its data layer',
    SOLVER,
    (each) => {
      each.options = { data: failing(new Error('own'), 3) };
    },
  ],
  [
    'raises in the second pass of an iteration',
    `${SOLVER} iter_size: 2`,
    (each) => {
      each.options = { data: failing(new Error('own'), 3) };
    },
  ],
  [
    'cannot open its data',
    SOLVER,
    (each) => {
      each.options = {
        data: async () => {
          throw new Error('own');
        },
      };
    },
  ],
  [
    'cannot open its data, where the seed is drawn',
    'max_iter: 2',
    (each) => {
      each.options = {
        data: async () => {
          throw new Error('own');
        },
      };
    },
  ],
  [
    'was aborted before',
    'max_iter: 2',
    (each) => {
      each.signal = AbortSignal.abort(new Error('own'));
    },
  ],
  [
    'is aborted',
    SOLVER,
    (each) => {
      const controller = new AbortController();
      each.signal = controller.signal;
      each.onEvent = (event) => {
        if (event.type === 'iteration' && event.iteration === 2) controller.abort(new Error('own'));
      };
    },
  ],
  [
    'has a user who throws',
    SOLVER,
    (each) => {
      each.onEvent = (event) => {
        if (event.type === 'iteration' && event.iteration === 4) throw new Error('own');
      };
    },
  ],
] as [string, string, (each: Process) => void][])
  for (const rank of [0, 1])
    test(`if process ${rank} ${what}, the other one is told`, async () => {
      const ended = await runTwo(text, (processes) => befall(processes[rank]!));
      const [own, other] = rank === 0 ? [ended.first, ended.second] : [ended.second, ended.first];
      assert.is(own.error?.message, 'own');
      assert.is(other.error?.code, 'communicator/other-failed', other.error?.message);
      assert.match(other.error!.message, new RegExp(`^Process ${rank} of 2 ended its run`));
    });

for (const [what, text, onEvent] of [
  ['leaves the loop at the start', SOLVER, ({ type }) => (type === 'start' ? 'leave' : undefined)],
  [
    'leaves the loop in the middle',
    SOLVER,
    (event) => (event.type === 'iteration' && event.iteration === 3 ? 'leave' : undefined),
  ],
] as [string, string, Process['onEvent']][])
  for (const rank of [0, 1])
    test(`if process ${rank} ${what}, the other one is told`, async () => {
      const ended = await runTwo(text, (processes) => {
        processes[rank]!.onEvent = onEvent;
      });
      const [own, other] = rank === 0 ? [ended.first, ended.second] : [ended.second, ended.first];
      assert.is(own.error, null);
      assert.is(other.error?.code, 'communicator/other-failed', other.error?.message);
    });

test('a process that leaves at the last event leaves nobody waiting', async () => {
  const { first, second } = await runTwo(SOLVER, ([each]) => {
    each.onEvent = ({ type }) => (type === 'done' ? 'leave' : undefined);
  });
  assert.equal([first.error, second.error], [null, null]);
});

test('if the first cannot write or test, the second is told', async () => {
  for (const befall of [
    // The folder is gone when the snapshot is due.
    (each: Process, folder: string) => {
      each.onEvent = (event) => {
        if (event.type === 'iteration' && event.iteration === 2) rmSync(folder, { recursive: true });
      };
    },
    (each: Process) => {
      each.world.device.load = () => Promise.reject(new Error('own'));
    },
  ]) {
    const { first, second } = await runTwo(SOLVER, ([each], folder) => befall(each, folder));
    assert.ok(first.error !== null && first.error.code !== 'communicator/other-failed');
    assert.is(second.error?.code, 'communicator/other-failed', second.error?.message);
  }
});

test.run();
