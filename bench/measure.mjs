/**
 * One measurement of one engine, in a process of its own: `node bench/measure.mjs JOB`, JOB and answer in JSON (see
 * job.ts). In plain JavaScript, and resnode from dist/ as a user has it, so that no compiler's memory is counted.
 *
 * @import { Answers, Job } from './job.ts'
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** @typedef {{ run: () => Promise<Float32Array>, versions: Record<string, string> }} Engine */

/** @type {Record<string, (job: Job, data: Float32Array) => Promise<Engine>>} */
const engines = {
  async resnode({ folder, batch, threads }, data) {
    const { openDevice } = await importResnode();
    const device = await openDevice('cpu', { threads });
    const [net, weights] = [`${folder}/net.prototxt`, `${folder}/net.caffemodel`];
    const model = await device.load({ model: net, weights, batch });
    return {
      run: async () => (await model.run({ data })).prob.data,
      versions: { oneDNN: String(device.description.oneDNN) },
    };
  },
  async 'onnxruntime-node'({ folder, batch, threads }, data) {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const session = await InferenceSession.create(`${folder}/net${batch}.onnx`, {
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
    });
    const [input, output] = [session.inputNames[0] ?? '', session.outputNames[0] ?? ''];
    const feeds = { [input]: new Tensor('float32', data, [batch, 3, 224, 224]) };
    return {
      run: async () => /** @type {Float32Array} */ ((await session.run(feeds))[output]?.data),
      versions: {},
    };
  },
};

/** @type {{ [What in keyof Answers]: (job: Job) => Promise<Answers[What]> }} */
const measurements = {
  // From nothing to the first answer: the engine's own import, its device, the net and weights from disk, one run.
  async firstAnswer(job) {
    const data = input(job);
    const start = performance.now();
    const { run, versions } = await open(job, data);
    const opened = performance.now();
    const output = await run();
    const milliseconds = performance.now() - start;
    for (let i = 0; i < 3; i++) await run();
    return {
      loadMilliseconds: opened - start,
      milliseconds,
      peakBytes: peakBytes(),
      output: [...output],
      versions,
    };
  },

  async run(job) {
    const { run } = await open(job, input(job));
    for (let i = 0; i < 3; i++) await run();
    const milliseconds = [];
    for (let i = 0; i < job.runs; i++) {
      const start = performance.now();
      await run();
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds, eventLoop: await eventLoopDelay(run, job.runs) };
  },

  // The inner product of oneDNN on 2048³: the most that this machine's arithmetic gives through a library.
  async sgemm({ threads, runs }) {
    const { openDevice } = await importResnode();
    const device = await openDevice('cpu', { threads });
    const size = 2048;
    const input_param = { shape: [{ dim: [size, size] }] };
    const model = await device.load({
      model: {
        layer: [
          { name: 'input', type: 'Input', top: ['data'], input_param },
          {
            name: 'ip',
            type: 'InnerProduct',
            bottom: ['data'],
            top: ['ip'],
            inner_product_param: { num_output: size },
          },
        ],
      },
    });
    const data = new Float32Array(size * size).fill(1);
    const milliseconds = [];
    for (let i = 0; i < runs; i++) milliseconds.push((await model.time({ data }))[0].milliseconds);
    return { flops: 2 * size ** 3, milliseconds };
  },
};

// Computed, because dist/ need not be there when types are checked.
function importResnode() {
  return import(new URL('../dist/index.js', import.meta.url).href);
}

/** @param {Job} job @param {Float32Array} data */
function open(job, data) {
  const engine = engines[job.engine];
  if (engine === undefined) throw new Error(`there is no engine "${job.engine}"`);
  return engine(job, data);
}

/** @param {Job} job */
function input({ folder, batch }) {
  const bytes = readFileSync(`${folder}/input${batch}.f32`);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/**
 * How much later than asked a timer fires while the engine runs: what a server's other requests would feel.
 * @param {() => Promise<unknown>} run @param {number} runs
 */
async function eventLoopDelay(run, runs) {
  const resolution = 1;
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  for (let i = 0; i < runs; i++) await run();
  histogram.disable();
  const delay = (/** @type {number} */ nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution);
  return { median: delay(histogram.percentile(50)), p99: delay(histogram.percentile(99)), max: delay(histogram.max) };
}

// Not getrusage's ru_maxrss: Linux hands that from parent to child across exec (mm_struct's high-water mark is new).
function peakBytes() {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

const job = /** @type {Job} */ (JSON.parse(process.argv[2] ?? '{}'));
const answer = await measurements[job.what](job);
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ answer, processorMilliseconds: (user + system) / 1000 }));
process.exit(0);
