/**
 * resnode against its peers on the same weights, float32. Every measurement is a process of its own, and the engines take
 * turns, so that what disturbs the machine for a while disturbs all of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printPrototxt } from '../caffe/print.ts';
import { ResnodeError } from '../errors.ts';
import { runCaffeTime } from './caffe-time.ts';
import { othersCores } from './conditions.ts';
import { type Engine, findEngines } from './engines.ts';
import {
  type Answers,
  besideBusyCore,
  type EventLoopDelay,
  type Measured,
  measure,
  measureCeilings,
} from './job.ts';
import { commit, describeMachine } from './machine.ts';
import { type BenchNet, benchNet, withBatch } from './nets.ts';
import { type Arithmetic, prepare } from './prepare.ts';
import type { CaffeFigures, Report, Result } from './report.ts';
import { relativeDifference } from './statistics.ts';

export interface BenchOptions {
  /** Names out of `benchNetNames`. */
  readonly nets: readonly string[];
  readonly batches: readonly number[];
  readonly threads: number;
  /** How often the engines take turns. */
  readonly rounds: number;
  /** Also with one core kept busy by another process. */
  readonly busy: boolean;
  /** Also every different operation of the nets by itself, at the first batch size. */
  readonly operations: boolean;
  /** A Python that has torch; null: torch is absent. */
  readonly python: string | null;
  /** A Caffe build's tool; null: Caffe is absent. */
  readonly caffe: string | null;
  /** Caffe's figures that were recorded before; shown as such. */
  readonly caffeFigures: readonly CaffeFigures[];
  /** Told what begins. */
  readonly onProgress?: (text: string) => void;
}

interface Taken {
  readonly engine: Engine;
  readonly first: Answers['firstAnswer'][];
  readonly quiet: Answers['run'][];
  readonly busy: Answers['run'][];
}

/**
 * Measures. Takes minutes, in processes of its own; blocks this one.
 * @throws ResnodeError `bench/outputs-differ` where an engine's first answer is not resnode's: what is not the same is
 * not worth timing. ArgumentError for unknown nets.
 */
export async function runBench(options: BenchOptions): Promise<Report> {
  const { threads, rounds, batches, onProgress = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  try {
    const machine = describeMachine();
    const engines = findEngines(options.python);
    const present = engines.filter(({ absent }) => absent === null);
    const versions: Record<string, string> = { node: process.versions.node };
    for (const { name, version } of present) if (version !== null) versions[name] = version;
    const others: number[] = [];
    const ceilings: Answers['ceilings'][] = [];
    const results: Result[] = [];
    const caffe: CaffeFigures[] = [...options.caffeFigures];
    const nets = options.nets.map(benchNet);
    for (const net of nets) {
      onProgress(`${net.name}: writing its files`);
      const arithmetic = prepare(net, batches, folder);
      for (const [i, batch] of batches.entries()) {
        const taken: Taken[] = present.map((engine) => ({ engine, first: [], quiet: [], busy: [] }));
        const context: Context = { options, folder, net, batch, others, ceilings };
        checkOutputs(taken, context);
        for (let round = 0; round < rounds; round++) {
          onProgress(`${net.name}, batch ${batch}, round ${round + 1} of ${rounds}`);
          measureRound(taken, context);
        }
        for (const each of taken) {
          Object.assign(versions, each.first[0]!.versions);
          results.push(resultOf(each, net, batch, arithmetic[i]!, options.busy));
        }
        if (options.caffe !== null) {
          onProgress(`${net.name}, batch ${batch}, Caffe`);
          caffe.push(await measureCaffe(options.caffe, context));
        }
      }
    }
    return {
      schema: 'resnode-bench/2',
      date: new Date().toISOString(),
      commit: commit(),
      machine,
      othersCores: othersCores(others),
      versions,
      settings: { threads, precision: 'float32', rounds },
      sgemmGflops: Math.max(...ceilings.map(({ gflops }) => gflops)),
      bandwidth: Math.max(...ceilings.map(({ bandwidth }) => bandwidth)),
      absent: [
        ...engines.flatMap(({ name, absent }) => (absent === null ? [] : [{ engine: name, reason: absent }])),
        ...(options.caffe === null ? [{ engine: 'Caffe', reason: 'no build was named (--caffe PATH)' }] : []),
      ],
      results,
      operations: options.operations ? measureOperations(nets, options, folder) : null,
      caffe,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Context {
  readonly options: BenchOptions;
  readonly folder: string;
  readonly net: BenchNet;
  readonly batch: number;
  readonly others: number[];
  readonly ceilings: Answers['ceilings'][];
}

function ask<What extends keyof Answers>(
  what: What,
  { name, python }: Pick<Engine, 'name' | 'python'>,
  { options, folder, net, batch }: Context,
): Measured<Answers[What]> {
  const runs = Math.max(4, Math.ceil((net.input[1] > 64 ? 24 : 200) / batch));
  const { threads } = options;
  return measure({
    what,
    engine: name,
    python,
    folder,
    net: net.name,
    input: net.input,
    batch,
    threads,
    runs,
  });
}

// Once unmeasured: the files come into the page cache.
function checkOutputs(taken: readonly Taken[], context: Context): void {
  const outputs = taken.map(({ engine }) => ask('firstAnswer', engine, context).answer.output);
  for (const [k, output] of outputs.entries()) {
    const difference = relativeDifference(output, outputs[0]!);
    if (!(difference < 1e-4))
      throw new ResnodeError(
        'bench/outputs-differ',
        `${context.net.name}: ${taken[k]!.engine.name} and ${taken[0]!.engine.name} differ by ${difference} of the largest output, expected less than 1e-4`,
      );
  }
}

function measureRound(taken: readonly Taken[], context: Context): void {
  const quietly = <Answer>({ answer, othersCores: cores }: Measured<Answer>): Answer => {
    context.others.push(cores);
    return answer;
  };
  context.ceilings.push(quietly(measureCeilings(context.options.threads)));
  for (const { engine, first } of taken) first.push(quietly(ask('firstAnswer', engine, context)));
  for (const { engine, quiet } of taken) quiet.push(quietly(ask('run', engine, context)));
  if (context.options.busy)
    for (const { engine, busy } of taken) busy.push(besideBusyCore(() => ask('run', engine, context).answer));
}

function resultOf(
  { engine, first, quiet, busy }: Taken,
  net: BenchNet,
  batch: number,
  arithmetic: Arithmetic,
  isBusy: boolean,
): Result {
  const peaks = first.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== null);
  const late = quiet.map(({ eventLoop }) => eventLoop).filter((delay) => delay !== null);
  const worst = (name: keyof EventLoopDelay) => Math.max(...late.map((delay) => delay[name]));
  return {
    engine: engine.name,
    net: net.name,
    batch,
    macs: engine.rewrites ? arithmetic.rewritten : arithmetic.written,
    quiet: quiet.map(({ milliseconds }) => milliseconds),
    busy: isBusy ? busy.map(({ milliseconds }) => milliseconds) : null,
    eventLoop: late.length === 0 ? null : { median: worst('median'), p99: worst('p99'), max: worst('max') },
    firstAnswer: first.map(({ milliseconds }) => milliseconds),
    peakBytes: peaks.length > 0 ? Math.max(...peaks) : null,
  };
}

async function measureCaffe(caffe: string, { folder, net, batch, options }: Context): Promise<CaffeFigures> {
  const model = join(folder, `${net.name}-${batch}.prototxt`);
  writeFileSync(model, printPrototxt(withBatch(net.net, batch)));
  const time = await runCaffeTime(caffe, model, {
    threads: options.threads,
    iterations: Math.max(4, Math.ceil(24 / batch)),
  });
  return { net: net.name, batch, time, recordedOn: null };
}

function measureOperations(
  nets: readonly BenchNet[],
  options: BenchOptions,
  folder: string,
): Report['operations'] {
  const batch = options.batches[0]!;
  options.onProgress?.(`operations at batch ${batch}`);
  const job = {
    what: 'operations',
    engine: 'resnode',
    python: null,
    folder,
    input: [],
    batch,
    threads: options.threads,
    runs: 9,
  } as const;
  const { answer } = measure({ ...job, net: nets.map(({ name }) => name).join(',') });
  return { batch, times: answer };
}
