/**
 * Measures resnode against its peers on the same weights in float32, and optionally in bfloat16, or beside ONNX Runtime in
 * int8. Every measurement has its own process. The engines take turns, so that a temporary disturbance of the machine
 * affects all of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResnodeError } from '../../base/errors.ts';
import { printPrototxt } from '../../caffe/print.ts';
import { SGD_UPDATE } from '../../device/plan-training.ts';
import { runCaffeTime } from './caffe-time.ts';
import { othersCores } from './conditions.ts';
import { type CpuPrecision, type Engine, FORWARD_BOUND, findEngines } from './engines.ts';
import {
  type Answers,
  besideBusyCore,
  checkIsCompiled,
  type EventLoopDelay,
  type Job,
  type Measured,
  measure,
  measureCeilings,
} from './job.ts';
import { commit, describeMachine } from './machine.ts';
import { asTraining, type BenchNet, benchNet, withBatch } from './nets.ts';
import { type Arithmetic, prepare } from './prepare.ts';
import { prepareInt8 } from './prepare-int8.ts';
import type { CaffeFigures, Report, Result, Task } from './report.ts';
import { relativeDifference } from './statistics.ts';

export interface BenchOptions {
  /** Names from `benchNetNames`. */
  readonly nets: readonly string[];
  readonly batches: readonly number[];
  /** A run forward, or a training step: forward, loss, backward, SGD with momentum. */
  readonly task: Task;
  /** Also resnode in this type, forward; in int8 ONNX Runtime, too. */
  readonly precision: CpuPrecision;
  readonly threads: number;
  /** The number of rounds, in each of which every engine runs. */
  readonly rounds: number;
  /** Also measure while another process keeps one core busy. */
  readonly busy: boolean;
  /** Also every distinct operation of the nets alone, at the first batch size. */
  readonly operations: boolean;
  /** A Python that has torch; null: no torch. */
  readonly python: string | null;
  /** The `caffe` tool of a Caffe build; null: no Caffe. */
  readonly caffe: string | null;
  /** Figures of Caffe that were recorded before. The report marks them as such. */
  readonly caffeFigures: readonly CaffeFigures[];
  /** Called with a description of each step before it starts. */
  readonly onProgress?: (text: string) => void;
}

// So small that the losses hardly depend on the gradients' rounding.
const TRAINING: Job['training'] = { rate: 1e-5, update: SGD_UPDATE };

interface Taken {
  readonly engine: Engine;
  readonly first: Answers['firstAnswer'][];
  readonly quiet: Answers['run'][];
  readonly busy: Answers['run'][];
}

/**
 * Measures. It takes minutes, works in other processes, and blocks this one.
 * @throws ResnodeError `bench/outputs-differ` if an engine's first result, or the losses of its first training steps, differ
 * from resnode's, because only equal results are worth timing. ArgumentError for unknown nets.
 */
export async function runBench(options: BenchOptions): Promise<Report> {
  checkIsCompiled();
  const { threads, rounds, batches, onProgress = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  try {
    const machine = describeMachine();
    const trains = options.task === 'training';
    const engines = findEngines(options.python, options.precision).map((engine) =>
      trains && !engine.trains && engine.absent === null
        ? { ...engine, absent: 'it does not train' }
        : engine,
    );
    const present = engines.filter(({ absent }) => absent === null);
    const versions: Record<string, string> = { node: process.versions.node };
    for (const { name, version } of present) if (version !== null) versions[name] = version;
    const others: number[] = [];
    const ceilings: Answers['ceilings'][] = [];
    const results: Result[] = [];
    const caffe: CaffeFigures[] = [...options.caffeFigures];
    const nets = options.nets.map(benchNet);
    for (const each of nets) {
      const net = trains ? asTraining(each) : each;
      onProgress(`${net.name}: writing its files`);
      const arithmetic = prepare(net, batches, folder, trains ? 'TRAIN' : 'TEST');
      for (const [i, batch] of batches.entries()) {
        const taken: Taken[] = present.map((engine) => ({ engine, first: [], quiet: [], busy: [] }));
        const context: Context = { options, folder, net, batch, others, ceilings };
        const quantizes = taken.some(({ engine }) => engine.name === 'onnxruntime-node int8');
        if (options.precision === 'int8')
          await prepareInt8(net, batch, folder, quantizes ? options.python : null);
        checkOutputs(taken, context);
        for (let round = 0; round < rounds; round++) {
          onProgress(`${net.name}, batch ${batch}, round ${round + 1} of ${rounds}`);
          measureRound(taken, context);
        }
        for (const each of taken) {
          Object.assign(versions, each.first[0]!.versions);
          results.push(resultOf(each, context, arithmetic[i]!));
        }
        if (options.caffe !== null) {
          onProgress(`${net.name}, batch ${batch}, Caffe`);
          caffe.push(await measureCaffe(options.caffe, context));
        }
      }
    }
    return {
      schema: 'resnode-bench/3',
      date: new Date().toISOString(),
      commit: commit(),
      machine,
      othersCores: othersCores(others),
      versions,
      settings: {
        threads,
        precision:
          options.precision === 'float32' ? 'float32' : `float32 unless ${options.precision} is named`,
        rounds,
      },
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
  const { threads, task } = options;
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
    training: task === 'training' ? TRAINING : null,
  });
}

// One run without measurement brings the files into the page cache.
function checkOutputs(taken: readonly Taken[], context: Context): void {
  const outputs = taken.map(({ engine }) => ask('firstAnswer', engine, context).answer.output);
  for (const [k, output] of outputs.entries()) {
    const difference = findDifference(context.options.task, output, outputs[0]!, taken[k]!.engine.bound);
    if (difference !== null)
      throw new ResnodeError(
        'bench/outputs-differ',
        `${context.net.name}: ${taken[k]!.engine.name} and ${taken[0]!.engine.name} ${difference}`,
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
  { options, net, batch }: Context,
  arithmetic: Arithmetic,
): Result {
  const peaks = first.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== null);
  const late = quiet.map(({ eventLoop }) => eventLoop).filter((delay) => delay !== null);
  const worst = (name: keyof EventLoopDelay) => Math.max(...late.map((delay) => delay[name]));
  return {
    task: options.task,
    engine: engine.name,
    net: net.name,
    batch,
    macs: engine.rewrites ? arithmetic.rewritten : arithmetic.written,
    quiet: quiet.map(({ milliseconds }) => milliseconds),
    busy: options.busy ? busy.map(({ milliseconds }) => milliseconds) : null,
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
  return { task: options.task, net: net.name, batch, time, recordedOn: null };
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
    training: null,
  } as const;
  const { answer } = measure({ ...job, net: nets.map(({ name }) => name).join(',') });
  return { batch, times: answer };
}

/**
 * Relative to the total change of the losses in training. Gradients agree worse than outputs, because rounding decides on
 * which side of 0 a ReLU's input is. torch's own two layouts differ by 3% after three steps of ResNet-50 at batch 2. A step
 * without momentum would differ by 45%.
 */
const CHANGE = 0.1;

/**
 * @param actual The first result, or the losses of the first steps.
 * @param expected The result of the engine to compare with.
 * @param bound The tolerance, relative to the largest output or to the first loss.
 * @returns What differs, and by how much; null if they agree
 */
export function findDifference(
  task: Task,
  actual: readonly number[],
  expected: readonly number[],
  bound = FORWARD_BOUND,
): string | null {
  const of = (values: readonly number[]) => (task === 'training' ? values.slice(0, 1) : values);
  const difference = relativeDifference(of(actual), of(expected));
  if (!(difference < bound))
    return task === 'training'
      ? `differ in the first loss by ${difference} of it, expected less than ${bound}`
      : `differ by ${difference} of the largest output, expected less than ${bound}`;
  if (task === 'forward') return null;
  const changes = (losses: readonly number[]) => losses.map((loss) => loss - losses[0]!);
  const drift = relativeDifference(changes(actual), changes(expected));
  if (drift < CHANGE) return null;
  return `differ in the changes of the losses during training by ${drift} of the change, expected less than ${CHANGE}: ${actual.join(', ')} and ${expected.join(', ')}`;
}
