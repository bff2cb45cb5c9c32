/**
 * A training step (forward, loss, backward, SGD with momentum) against torch's on the same shapes, float32:
 * `npm run build && tsx bench/train-step.ts [OPTIONS]`. Every measurement is a process of its own, and the engines take
 * turns, so that what disturbs the machine for a while disturbs all of them.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Conditions, conditionLines, othersCores } from '../ts/bench/conditions.ts';
import { torchPeers } from '../ts/bench/engines.ts';
import { measureCeilings, measureProcess } from '../ts/bench/job.ts';
import { commit, describeMachine } from '../ts/bench/machine.ts';
import { median } from '../ts/bench/statistics.ts';
import { graphFromCaffe, resnet, summarise } from '../ts/index.ts';

const USAGE = `tsx bench/train-step.ts [--python PATH] [--cases 50:8,20:128] [--rounds 5] [--threads 2] [--quick] [--json FILE]
  --python   a Python with torch; without it torch is absent
  --cases    depth:batch, by commas; depth 50 (224×224) or 20 (CIFAR, 32×32)
  --quick    one round, for a look
  --json     write the report here (resnode-train-bench/1)`;

const RUNS = 8;
const PEERS = [
  { name: 'torch', layout: 'nchw', compile: false },
  { name: 'torch channels_last', layout: 'channels_last', compile: false },
] as const;

/** What one process answers; times in milliseconds a step. */
interface Answer {
  readonly milliseconds: readonly number[];
  /** The process's resident high-water mark, Node.js or Python included. */
  readonly peakBytes: number;
  readonly version: string;
}

interface Result {
  readonly engine: string;
  readonly net: string;
  readonly batch: number;
  /** Multiply-accumulates of a step, all convolutions counted as direct ones. */
  readonly macs: number;
  readonly rounds: readonly (readonly number[])[];
  /** The most of the rounds. */
  readonly peakBytes: number;
}

/** What `--json` writes. A field that changes its meaning changes the number at the end of the schema's name. */
interface Report extends Conditions {
  readonly schema: 'resnode-train-bench/1';
  readonly results: readonly Result[];
}

interface Options {
  readonly python: string | null;
  readonly cases: readonly { readonly depth: 50 | 20; readonly batch: number }[];
  readonly rounds: number;
  readonly threads: number;
  readonly json: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      python: { type: 'string' },
      cases: { type: 'string', default: '50:8,20:128' },
      rounds: { type: 'string' },
      threads: { type: 'string', default: '2' },
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
    python: values.python ?? null,
    cases: values.cases.split(',').map((text) => {
      const [depth, batch] = text.split(':').map((part) => count('cases', part));
      if ((depth !== 50 && depth !== 20) || batch === undefined)
        throw new Error(`Expected depth:batch with depth 50 or 20 for --cases but received "${text}"`);
      return { depth, batch };
    }),
    rounds: count('rounds', values.rounds ?? (values.quick ? '1' : '5')),
    threads: count('threads', values.threads),
    json: values.json,
  };
}

// Forward, and twice as much backward: data and weights; the image's own gradient is not computed.
function stepMacs(depth: 50 | 20, batch: number): number {
  const { layers, macs } = summarise(graphFromCaffe(resnet({ depth }), { batch }));
  return 3 * macs - layers.find((layer) => layer.macs > 0)!.macs;
}

function bench({ python, cases, rounds, threads }: Options): Report {
  const machine = describeMachine();
  const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const torch = torchPeers(python);
  const absent = torch.flatMap(({ name, absent: reason }) =>
    reason === null ? [] : [{ engine: name, reason }],
  );
  const peers = absent.length === 0 ? PEERS : [];
  const versions: Record<string, string> = { node: process.versions.node };
  const [others, gflops]: [number[], number[]] = [[], []];
  const results: Result[] = [];
  for (const { depth, batch } of cases) {
    const net = `ResNet-${depth}`;
    const engines = [
      { name: 'resnode', command: process.execPath, words: [script('measure-train.mjs')] },
    ].concat(peers.map(({ name }) => ({ name, command: python!, words: [script('torch-train.py')] })));
    const taken = engines.map((engine) => ({ ...engine, answers: [] as Answer[] }));
    for (let round = 0; round < rounds; round++) {
      console.error(`${net}, batch ${batch}, round ${round + 1} of ${rounds}`);
      gflops.push(measureCeilings(threads).answer.gflops);
      for (const { name, command, words, answers } of taken) {
        const peer = PEERS.find((each) => each.name === name);
        const job = JSON.stringify({ depth, batch, threads, runs: RUNS, ...peer });
        const { answer, othersCores } = measureProcess<Answer>(command, [...words, job], `${name}, ${net}`);
        answers.push(answer);
        others.push(othersCores);
        versions[name] = answer.version;
      }
    }
    for (const { name, answers } of taken)
      results.push({
        ...{ engine: name, net, batch, macs: stepMacs(depth, batch) },
        rounds: answers.map(({ milliseconds }) => milliseconds),
        peakBytes: Math.max(...answers.map(({ peakBytes }) => peakBytes)),
      });
  }
  return {
    schema: 'resnode-train-bench/1',
    date: new Date().toISOString(),
    commit: commit(),
    machine,
    othersCores: othersCores(others),
    versions,
    settings: { threads, precision: 'float32', rounds },
    sgemmGflops: Math.max(...gflops),
    absent,
    results,
  };
}

/** The report as lines of text. */
function table(report: Report): string {
  const { machine, sgemmGflops, results } = report;
  const lines = [
    `${machine.processor}, ${machine.cores} cores, load ${machine.load.toFixed(2)}`,
    ...conditionLines(report),
  ];
  for (const { engine, net, batch, macs, rounds, peakBytes } of results) {
    const times = rounds.flat();
    const share = (2 * macs) / median(times) / 1e6 / sgemmGflops;
    lines.push(
      `${net}, batch ${batch}, ${engine}: a step ${median(times).toFixed(0)} ms (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)}, ${times.length} steps), ${((1000 * batch) / median(times)).toFixed(1)} images/s, ${(100 * share).toFixed(0)}% of sgemm; peak memory ${(peakBytes / 1e6).toFixed(0)} MB`,
    );
    const group = results.filter((each) => each.net === net && each.batch === batch);
    const [own, ...rest] = group;
    if (rest.length === 0 || group.at(-1)!.engine !== engine) continue;
    const best = (pick: (result: Result) => number) => Math.min(...rest.map(pick)) / pick(own!);
    lines.push(
      `  torch's best over resnode: time ${best((result) => median(result.rounds.flat())).toFixed(2)}, peak memory ${best((result) => result.peakBytes).toFixed(2)}`,
    );
  }
  return lines.join('\n');
}

let options: Options;
try {
  options = readOptions();
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`);
  process.exit(2);
}
const report = bench(options);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
console.log(table(report));
