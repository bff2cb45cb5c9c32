/**
 * ResNet-50 against its peers on the same weights, float32: `npm run bench -- [OPTIONS]`. Every measurement is a process
 * of its own, and the engines take turns, so that what disturbs the machine for a while disturbs all of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findEngines } from './engines.ts';
import { type Answers, besideBusyCore, measure } from './job.ts';
import { commit, describeMachine } from './machine.ts';
import { prepare } from './prepare.ts';
import { type Report, type Result, table } from './report.ts';
import { relativeDifference } from './statistics.ts';

const USAGE = `npm run bench -- [--rounds 5] [--batches 1,8] [--threads 2] [--busy] [--quick] [--json FILE]
  --rounds   how often the engines take turns
  --batches  batch sizes, by commas
  --busy     also with one core kept busy by another process
  --quick    one round, for a look
  --json     write the report here (resnode-bench/1)`;

const DEPTH = 50;

interface Options {
  readonly rounds: number;
  readonly batches: readonly number[];
  readonly threads: number;
  readonly busy: boolean;
  readonly json: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      batches: { type: 'string', default: '1,8' },
      threads: { type: 'string', default: '2' },
      busy: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const count = (name: string, text: string) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new Error(`Expected an integer from 1 for --${name} but received "${text}"`);
  };
  return {
    rounds: count('rounds', values.rounds ?? (values.quick ? '1' : '5')),
    batches: values.batches.split(',').map((text) => count('batches', text)),
    threads: count('threads', values.threads),
    busy: values.busy,
    json: values.json,
  };
}

function bench(options: Options, folder: string): Report {
  const { rounds, batches, threads } = options;
  const machine = describeMachine();
  const arithmetic = prepare(DEPTH, batches, folder);
  const engines = findEngines();
  const present = engines.filter(({ absent }) => absent === null);
  const versions: Record<string, string> = { node: process.versions.node };
  const sgemm: number[] = [];
  const others: number[] = [];
  const results: Result[] = [];
  for (const [i, batch] of batches.entries()) {
    const runs = Math.max(4, Math.ceil(24 / batch));
    const quietly = <What extends keyof Answers>(what: What, engine: string) => {
      const { answer, othersCores } = measure({ what, engine, folder, batch, threads, runs });
      others.push(othersCores);
      return answer;
    };
    const taken = present.map((engine) => ({
      ...engine,
      first: [] as Answers['firstAnswer'][],
      quiet: [] as Answers['run'][],
      busy: [] as Answers['run'][],
    }));
    // Once unmeasured: the files come into the page cache, and engines that disagree are not worth timing.
    const outputs = taken.map(({ name }) => quietly('firstAnswer', name).output);
    for (const [k, output] of outputs.entries()) {
      const difference = relativeDifference(output, outputs[0]!);
      if (!(difference < 1e-4))
        throw new Error(
          `${taken[k]!.name} and ${taken[0]!.name} differ by ${difference} of the largest output`,
        );
    }
    for (let round = 0; round < rounds; round++) {
      console.error(`batch ${batch}, round ${round + 1} of ${rounds}`);
      const { flops, milliseconds } = quietly('sgemm', 'resnode');
      sgemm.push(flops / Math.min(...milliseconds) / 1e6);
      for (const engine of taken) engine.first.push(quietly('firstAnswer', engine.name));
      for (const engine of taken) engine.quiet.push(quietly('run', engine.name));
      if (!options.busy) continue;
      for (const { name, busy } of taken) {
        const job = { what: 'run', engine: name, folder, batch, threads, runs } as const;
        busy.push(besideBusyCore(() => measure(job).answer));
      }
    }
    for (const { name, version, rewrites, first, quiet, busy } of taken) {
      if (version !== null) versions[name] = version;
      Object.assign(versions, first[0]!.versions);
      const peaks = first.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== null);
      const late = quiet.map(({ eventLoop }) => eventLoop);
      results.push({
        engine: name,
        net: `ResNet-${DEPTH}`,
        batch,
        macs: rewrites ? arithmetic[i]!.rewritten : arithmetic[i]!.written,
        quiet: quiet.map(({ milliseconds }) => milliseconds),
        busy: options.busy ? busy.map(({ milliseconds }) => milliseconds) : null,
        eventLoop: {
          median: Math.max(...late.map(({ median }) => median)),
          p99: Math.max(...late.map(({ p99 }) => p99)),
          max: Math.max(...late.map(({ max }) => max)),
        },
        firstAnswer: first.map(({ milliseconds }) => milliseconds),
        peakBytes: peaks.length > 0 ? Math.max(...peaks) : null,
      });
    }
  }
  return {
    schema: 'resnode-bench/1',
    date: new Date().toISOString(),
    commit: commit(),
    machine,
    othersCores: {
      mean: others.reduce((sum, cores) => sum + cores, 0) / others.length,
      max: Math.max(...others),
    },
    versions,
    settings: { threads, precision: 'float32', rounds },
    sgemmGflops: Math.max(...sgemm),
    absent: engines.flatMap(({ name, absent }) =>
      absent === null ? [] : [{ engine: name, reason: absent }],
    ),
    results,
  };
}

let options: Options;
try {
  options = readOptions();
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
try {
  const report = bench(options, folder);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
  console.log(table(report));
} finally {
  rmSync(folder, { recursive: true });
}
