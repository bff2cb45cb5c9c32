/**
 * One measurement of one engine in its own process: `node measure.js JOB`, with job and answer in JSON (job.ts). It runs
 * from dist/, as for a user, so that no compiler's memory is counted. Modules that an engine does not need are not loaded.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { openDevice } from '../../device/device.ts';
import type { CpuPrecision } from './engines.ts';
import type { Answers, Candidate, EventLoopDelay, Job, OperationTime } from './job.ts';
import { loadOnnxRuntime } from './onnxruntime.ts';
import { readFloats } from './read-floats.ts';

interface Engine {
  readonly run: () => Promise<Float32Array>;
  readonly versions: Readonly<Record<string, string>>;
}

async function openResnode(
  { folder, net, batch, threads }: Job,
  data: Float32Array,
  precision: CpuPrecision,
): Promise<Engine> {
  const { openDevice } = await library();
  const device = await openDevice('cpu', { threads });
  const [model, weights] = [`${folder}/${net}.prototxt`, `${folder}/${net}.caffemodel`];
  const calibration = precision === 'int8' ? { calibration: `${folder}/${net}.calibration.json` } : {};
  const loaded = await device.load({ model, weights, batch, precision, ...calibration });
  return {
    run: async () => (await loaded.run({ data })).prob!.data,
    versions: { oneDNN: String(device.description.oneDNN) },
  };
}

async function openOnnxRuntime(
  { folder, net, batch, threads, input }: Job,
  data: Float32Array,
  { suffix = '', spins = true }: { suffix?: string; spins?: boolean } = {},
): Promise<Engine> {
  const { InferenceSession, Tensor } = loadOnnxRuntime();
  const session = await InferenceSession.create(`${folder}/${net}-${batch}${suffix}.onnx`, {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    // https://onnxruntime.ai/docs/performance/tune-performance/threading.html
    ...(spins ? {} : { extra: { session: { intra_op: { allow_spinning: '0' } } } }),
  });
  const feeds = { [session.inputNames[0]!]: new Tensor('float32', data, [batch, ...input]) };
  return { run: async () => (await session.run(feeds))[session.outputNames[0]!]!.data, versions: {} };
}

const engines: Readonly<Record<string, (job: Job, data: Float32Array) => Promise<Engine>>> = {
  resnode: (job, data) => openResnode(job, data, 'float32'),
  'resnode bfloat16': (job, data) => openResnode(job, data, 'bfloat16'),
  'resnode int8': (job, data) => openResnode(job, data, 'int8'),
  'onnxruntime-node': (job, data) => openOnnxRuntime(job, data),
  'onnxruntime-node allow_spinning 0': (job, data) => openOnnxRuntime(job, data, { spins: false }),
  'onnxruntime-node int8': (job, data) => openOnnxRuntime(job, data, { suffix: '-int8' }),
};

const trainers: typeof engines = {
  async resnode({ folder, net, batch, threads, training }, data) {
    const { openDevice } = await library();
    const device = await openDevice('cpu', { threads });
    const [model, weights] = [`${folder}/${net}.prototxt`, `${folder}/${net}.caffemodel`];
    const { rate, update } = training!;
    const trainer = await device.train({ model, weights, batch, update });
    const label = readFloats(`${folder}/${net}-${batch}.labels.f32`);
    let iteration = 0;
    return {
      run: async () => (await trainer.step({ data, label }, { rate, iteration: iteration++ })).loss!.data,
      versions: { oneDNN: String(device.description.oneDNN) },
    };
  },
};

const measurements: { [What in keyof Answers]: (job: Job) => Promise<Answers[What]> } = {
  // From start to the first answer: the engine's import, its device, the net and weights from disk, and one run.
  async firstAnswer(job) {
    const data = readInput(job);
    const start = performance.now();
    const { run, versions } = await open(job, data);
    const opened = performance.now();
    const output = await run();
    const milliseconds = performance.now() - start;
    const outputs = [output];
    for (let i = 1; i < job.steps!; i++) outputs.push(await run());
    return {
      loadMilliseconds: opened - start,
      milliseconds,
      peakBytes: peakBytes(),
      output: job.training === null ? [...output] : outputs.flatMap((losses) => [...losses]),
      versions,
    };
  },

  async run(job) {
    const { run } = await open(job, readInput(job));
    for (let i = 0; i < 3; i++) await run();
    const milliseconds: number[] = [];
    for (let i = 0; i < job.runs; i++) {
      const start = performance.now();
      await run();
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds, eventLoop: await eventLoopDelay(run, job.runs) };
  },

  async ceilings({ threads, runs }) {
    const { machineCeilings } = await import('./ceilings.ts');
    return machineCeilings(threads, runs);
  },

  // The devices run one after the other, so that no waiting threads of another device disturb.
  async operations({ net, batch, threads, runs }) {
    const { openDevice } = await library();
    const { compileOperation } = await singleOperations();
    const { openOneDnn } = await import('./ceilings.ts');
    const { caseList, benchNet } = await cases();
    const all = caseList(net.split(',').map(benchNet), batch);
    const timed = all.map((): Candidate[] => []);
    for (const open of [() => openDevice('cpu', { threads }), () => openOneDnn(threads)]) {
      await using device = await open();
      if (device === null) continue;
      for (const [i, { make, macs }] of all.entries()) {
        // The choice of kernels matters only to products.
        if (timed[i]!.length > 0 && macs === 0) continue;
        const operation = make();
        await using model = await compileOperation(device, operation);
        const inputs = Object.fromEntries(
          Object.entries(operation.inputs).map(([name, { data }]) => [name, data]),
        );
        const implementations = new Set(model.plan().operations.map((each) => each.implementation));
        const implementation = [...implementations].join(' + ');
        if (timed[i]!.some((each) => each.implementation === implementation)) continue;
        const rounds: number[] = [];
        // The sum of all steps, because a conversion of the layout is part of the cost.
        for (let run = 0; run < runs + 2; run++)
          rounds.push((await model.time(inputs)).reduce((sum, { milliseconds }) => sum + milliseconds, 0));
        timed[i]!.push({ implementation, milliseconds: rounds.slice(2) });
      }
    }
    return all.map(
      ({ make: _, ...item }, i): OperationTime => ({ ...item, ...timed[i]![0]!, candidates: timed[i]! }),
    );
  },
};

// Not inside functions with `await using`: TypeScript 6.0 does not rewrite a dynamic import's extension there.
// Imports the whole package, as a user does.
const library = () =>
  import(new URL('../../index.js', import.meta.url).href) as Promise<{ openDevice: typeof openDevice }>;
const singleOperations = () => import('../../device/ops.ts');
const cases = async () => ({ ...(await import('./case-list.ts')), ...(await import('./nets.ts')) });

function open(job: Job, data: Float32Array): Promise<Engine> {
  const engine = (job.training === null ? engines : trainers)[job.engine];
  if (engine === undefined) throw new Error(`there is no engine "${job.engine}" for this`);
  return engine(job, data);
}

const readInput = ({ folder, net, batch }: Job) => readFloats(`${folder}/${net}-${batch}.f32`);

// The delay of a timer while the engine runs, which a server's other requests would have.
async function eventLoopDelay(run: () => Promise<unknown>, runs: number): Promise<EventLoopDelay> {
  const resolution = 1;
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  for (let i = 0; i < runs; i++) await run();
  histogram.disable();
  const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution);
  return {
    median: delay(histogram.percentile(50)),
    p99: delay(histogram.percentile(99)),
    max: delay(histogram.max),
  };
}

// Not getrusage's ru_maxrss: Linux hands that from parent to child across exec (mm_struct's high-water mark is new).
function peakBytes(): number | null {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const answer = await measurements[job.what](job);
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ answer, processorMilliseconds: (user + system) / 1000 }));
process.exit(0);
