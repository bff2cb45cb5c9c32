/**
 * Ends threads in the middle of native work, one after the other, in a separate process, and measures its memory
 * afterwards. `npx tsx test/support/terminated-workers.ts run 300` shows it at length.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { unfused } from '../../ts/layers/operation.ts';
import { loadBinding } from '../../ts/native/load.ts';
import { outputArrays, ProgramWriter } from './run-program.ts';

/** What a thread is doing when it is terminated. */
export const WORK = [
  'run',
  'lent',
  'profile',
  'train',
  'buffers',
  'load',
  'upload',
  'image',
  'decode',
  'map',
] as const;
export type Work = (typeof WORK)[number];

interface Net {
  readonly writer: ProgramWriter;
  readonly output: number;
}

/** 16 MiB in, and 16 MiB of weights with their diff and history: forward, backward and an update in each run. */
function trainingNet(): Net {
  const writer = new ProgramWriter();
  const schedule = writer.input([5], Float32Array.of(1e-3, 0, 1, 1, 1));
  const data = writer.input([64, 65536]);
  const weights = writer.parameter([64, 65536], { mutable: true });
  const [y, dy, dw] = [writer.tensor(64, 64), writer.input([64, 64]), writer.tensor(64, 65536)];
  const of = writer.operation([data], [y], {
    kind: 'innerProduct',
    weights,
    bias: null,
    axis: 1,
    numOutput: 64,
    transpose: false,
    ...unfused,
  });
  writer.operation([data, y, dy], [-1, dw, -1], { kind: 'gradient', of });
  const zeros = () => writer.parameter([64, 65536], { values: new Float32Array(64 * 65536), mutable: true });
  writer.operation([schedule, dw], [], {
    kind: 'update',
    rule: 'sgd',
    momentum: 0.9,
    momentum2: 0.999,
    delta: 1e-8,
    rmsDecay: 0.9,
    clipGradients: null,
    iterSize: 1,
    dampened: false,
    trust: 0.001,
    averageDecay: 0,
    weightDecay: 1e-4,
    regularization: 'L2',
    parameters: [
      { parameter: weights, history: [zeros()], accumulator: null, average: null, lrMult: 1, decayMult: 1 },
    ],
  });
  return { writer, output: y };
}

/** 16 MiB in, 16 MiB out, 16 MiB of parameters, and powers, which take long. */
function forwardNet(): Net {
  const writer = new ProgramWriter();
  const data = writer.input([64, 65536]);
  const weights = writer.parameter([64, 65536]);
  writer.operation([data], [writer.tensor(64, 64)], {
    kind: 'innerProduct',
    weights,
    bias: null,
    axis: 1,
    numOutput: 64,
    transpose: false,
    ...unfused,
  });
  let output = data;
  for (let i = 0; i < 4; i++) {
    const next = writer.tensor(64, 65536);
    writer.operation([output], [next], { kind: 'power', power: 1.1, scale: 1, shift: 2 });
    output = next;
  }
  return { writer, output };
}

// Runs in the worker, in plain JavaScript: starting a TypeScript loader in each would take longer than the rest.
const SCRIPT = `
const { parentPort, workerData } = require('node:worker_threads');
const { addon, work, kind, program, parameters, planOptions, deviceOptions, values, scores, file, sharp, picture } = workerData;
const binding = require(addon);
const data = parameters.map((bytes) => ({ bytes: new Uint8Array(bytes), dtype: 'float32', channelScale: null }));
const inputs = values.map((count) => new Float32Array(count)), [input] = inputs;
const ready = () => parentPort.postMessage('ready');
const forever = async (turn) => { for (let last = turn(); ; last = turn()) { ready(); await last; } };
const all = async () => {
  if (work === 'image') {
    const size = { width: 1000, height: 700, channels: 3 }, pixels = new Uint8Array(1000 * 700 * 3);
    const prepare = { ...size, resizedWidth: 900, resizedHeight: 600, left: 0, top: 0, cropWidth: 800, cropHeight: 500, outputChannels: 3, bgr: true, float: false, scale: new Float32Array(3).fill(1), mean: new Float32Array(3) };
    return forever(() => Promise.all([binding.prepareImage(pixels, prepare), binding.resizeImage(pixels, { ...size, resizedWidth: 1500, resizedHeight: 1000 })]));
  }
  if (work === 'decode') {
    const decode = () => require(sharp)(Buffer.from(picture)).raw().toBuffer();
    return forever(() => Promise.all([decode(), decode()]));
  }
  if (work === 'map') return forever(async () => { binding.mapFile(file); new Uint8Array(binding.allocateMemory(1 << 20)).fill(1); });
  const device = binding.openDevice(kind, deviceOptions);
  const load = async () => {
    const plan = await device.prepare(program, planOptions), held = await device.createParameters(program, data);
    return [plan, held, await device.compile(plan, held)];
  };
  if (work === 'load') return forever(() => Promise.all([load(), load(), load(), load()]));
  if (work === 'upload') {
    const bytes = new Uint8Array(16 << 20), buffer = await device.allocateBuffer(bytes.length);
    const turn = () => Promise.all([buffer.upload(bytes, 0), buffer.fill(1, 0, bytes.length), buffer.download(0, bytes.length)]);
    return forever(() => Promise.all([turn(), turn(), turn(), turn()]));
  }
  const [, held, executable] = await load();
  if (work === 'buffers') {
    const [from, to] = [await device.allocateBuffer(input.byteLength), await device.allocateBuffer(input.byteLength)];
    return forever(() => executable.run([{ buffer: from, dtype: 'float32' }], [to], true, null).done);
  }
  const run = () => executable.run(inputs, [new Float32Array(scores)], work !== 'lent', work === 'profile' ? new Float64Array(program.operations.length) : null).done;
  return forever(() => Promise.all([run(), run(), held.read(0)]));
};
void all();
`;

/** Resident bytes before and after `count` threads were terminated during `work`. */
export async function terminate(work: Work, count: number): Promise<{ before: number; after: number }> {
  const { writer, output } = work === 'train' ? trainingNet() : forwardNet();
  const program = writer.program([output]);
  // The reference device is slow, so that a run is in progress when its thread ends.
  const kind = ['run', 'lent', 'profile', 'train'].includes(work) ? 'reference' : 'cpu';
  const { path, folder } = loadBinding();
  const workerData = {
    addon: createRequire(import.meta.url).resolve(path),
    work,
    kind,
    program,
    parameters: writer.parameterValues.map((values) => values.byteLength),
    planOptions: { precision: 'float32', deterministic: false, tune: false, quantization: null },
    deviceOptions: {
      threads: 2,
      winograd: true,
      kernels: '',
      libraryFolder: folder,
      ordinal: 0,
      cacheFolder: '',
      deterministic: false,
      cudnn: false,
      communicator: null,
    },
    values: writer.inputValues.map(({ length }) => length),
    scores: outputArrays(program)[0]!.length,
    file: path,
    sharp: createRequire(import.meta.url).resolve('sharp'),
    picture: work === 'decode' ? await picture() : null,
  };
  const one = async () => {
    const worker = new Worker(SCRIPT, { eval: true, workerData });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
  };
  // The first ones fill the pools of the allocators and of V8.
  for (let i = 0; i < 5; i++) await one();
  globalThis.gc?.();
  const before = residentBytes();
  for (let i = 0; i < count; i++) await one();
  globalThis.gc?.();
  return { before, after: residentBytes() };
}

/** A JPEG of six million pixels, which takes a while to decode. */
async function picture(): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 3000, height: 2000, channels: 3, background: 'black', noise } })
    .jpeg()
    .toBuffer();
}

function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

if (/terminated-workers\.[jt]s$/.test(process.argv[1] ?? '')) {
  const [, , names = 'all', count] = process.argv;
  for (const work of names === 'all' ? WORK : (names.split(',') as Work[]))
    console.log(JSON.stringify({ work, ...(await terminate(work, Number(count))) }));
}
