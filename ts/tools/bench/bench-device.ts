/**
 * Benchmarks a CUDA device alone: operations of the nets fused, as separate launches and with Caffe's launches, and whole
 * nets fused and layer by layer.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResnodeError } from '../../base/errors.ts';
import { printPrototxt } from '../../caffe/print.ts';
import type { Device } from '../../device/device.ts';
import { SGD_UPDATE } from '../../device/plan-training.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import type { NativeOperationBench } from '../../native/binding.ts';
import { runPasses } from '../../passes/index.ts';
import { recipeInput, recipeWeights } from '../parity/recipe.ts';
import { runCaffeTime } from './caffe-time.ts';
import { COMPARED_STEPS, timeTorch, writePeerFiles } from './device-peer.ts';
import type { DeviceReport, NetTimes, OperationShape, OperationWay, PeerTimes } from './device-report.ts';
import type { Training } from './job.ts';
import { commit } from './machine.ts';
import { asTraining, type BenchNet, benchNet, withBatch } from './nets.ts';
import { initialWeights } from './prepare.ts';
import { median, relativeDifference } from './statistics.ts';

export interface DeviceBenchOptions {
  /** Names from `benchNetNames`. */
  readonly nets: readonly string[];
  readonly batches: readonly number[];
  /** A run forward, or a training step: forward, loss, backward, SGD with momentum. */
  readonly task: 'forward' | 'training';
  readonly precision: 'float32' | 'tf32' | 'float16' | 'bfloat16';
  /** Also times the operations of the nets alone, at the first batch size. */
  readonly operations: boolean;
  /** The number of timed runs of each. */
  readonly runs: number;
  /** The `caffe` tool of a Caffe build, which is timed on the same GPU; null: no Caffe. */
  readonly caffe: string | null;
  /** A Python that has torch, which is timed on the same GPU; null or absent: no torch. */
  readonly python?: string | null;
  /** Where torch computes. Default `cuda:0`, or the GPU that the device is. */
  readonly torchDevice?: string;
  /** The operations' inputs rotate through this many bytes; 0: twice the device's L2 cache. */
  readonly rotatedBytes?: number;
  /** The number of bytes of the copy that measures the memory's speed. */
  readonly copyBytes?: number;
  /** Called with a description of each step before it starts. */
  readonly onProgress?: (text: string) => void;
  /** Called with the report so far whenever it grows. */
  readonly onMeasured?: (report: DeviceReport) => void;
}

const SEED = 20151210;
/**
 * The allowed difference between results in each precision, relative to the largest value; for operations, to 1 + |value|.
 */
const BOUNDS = { float32: 1e-3, tf32: 3e-2, float16: 3e-2, bfloat16: 0.2 } as const;
const RATE = 1e-6;

/**
 * Measures on an open CUDA device.
 * @throws ResnodeError `bench/outputs-differ` if implementations that should agree do not; ArgumentError for unknown nets;
 * DeviceError, `device/unsupported` for operations on a device other than CUDA
 */
export async function benchDevice(device: Device, options: DeviceBenchOptions): Promise<DeviceReport> {
  const { precision, onProgress = () => {}, onMeasured = () => {} } = options;
  const nets = options.nets.map(benchNet);
  let copy: number | null = null;
  const shapes: OperationShape[] = [];
  const times: NetTimes[] = [];
  const made = { date: new Date().toISOString(), commit: commit() };
  const report = (): DeviceReport => ({
    schema: 'resnode-device-bench/2',
    ...made,
    device: device.name,
    description: device.description,
    precision,
    copyGigabytes: copy,
    batch: options.batches[0]!,
    shapes: [...shapes],
    nets: [...times],
  });
  if (options.operations) {
    onProgress('copy');
    copy = await measureCopy(device, options);
    for await (const shape of measureShapes(device, nets, options, copy)) {
      shapes.push(shape);
      onMeasured(report());
    }
  }
  for (const net of nets)
    for (const batch of options.batches) {
      onProgress(`${net.name}, batch ${batch}`);
      times.push(
        options.task === 'training'
          ? await measureStep(device, net, batch, options)
          : await measureNet(device, net, batch, options),
      );
      onMeasured(report());
    }
  return report();
}

const EMPTY = { n: 1, c: 1, h: 1, w: 1, outputs: 1, kernel: 1, stride: 1, pad: 0 };

// Bytes read and written per second, in GB/s.
async function measureCopy(device: Device, { runs, copyBytes = 2 ** 30 }: DeviceBenchOptions) {
  const bench = { ...EMPTY, kind: 'copy', n: copyBytes, precision: 'float32', runs } as const;
  const [copy] = await device.benchOperation({ ...bench, rotatedBytes: 1, tune: true });
  return copy!.bytes / median(copy!.microseconds) / 1e3;
}

type Problem = Pick<
  NativeOperationBench,
  'kind' | 'n' | 'c' | 'h' | 'w' | 'outputs' | 'kernel' | 'stride' | 'pad'
>;

async function* measureShapes(
  device: Device,
  nets: readonly BenchNet[],
  { batches, precision, runs, rotatedBytes = 0, onProgress = () => {} }: DeviceBenchOptions,
  copy: number,
): AsyncGenerator<OperationShape> {
  for (const { problem, name, count } of problemsOf(nets, batches[0]!)) {
    onProgress(name);
    const ways = (await device.benchOperation({ ...problem, precision, runs, rotatedBytes, tune: true })).map(
      ({ name: way, launches, bytes, worst, microseconds }): OperationWay => {
        const gigabytes = bytes / median(microseconds) / 1e3;
        return { name: way, launches, bytes, worst, microseconds, gigabytes, ofCopy: gigabytes / copy };
      },
    );
    for (const way of ways)
      if (!(way.worst <= BOUNDS[precision]))
        throw new ResnodeError(
          'bench/outputs-differ',
          `${name}: the result of "${way.name}" differs by ${way.worst} of 1 + |value|`,
        );
    yield { operation: problem.kind, name, count, ways };
  }
}

/** Every distinct operation to time, with its number of occurrences in the nets. Those that move most bytes come first. */
export function problemsOf(
  nets: readonly BenchNet[],
  batch: number,
): { problem: Problem; name: string; count: number }[] {
  const found = new Map<string, { problem: Problem; name: string; count: number }>();
  const add = (problem: Problem, name: string) => {
    const key = JSON.stringify(problem);
    const known = found.get(key);
    found.set(key, { problem, name, count: (known?.count ?? 0) + 1 });
  };
  for (const { net } of nets) {
    const written = graphFromCaffe(net, { batch });
    for (const { operation, inputs, outputs } of written.nodes) {
      const [n = 1, c = 1, h = 1, w = 1] = written.values[outputs[0]!]!.shape;
      const sizes = `${c}×${h}×${w}`;
      if (operation.kind === 'affine' && operation.affine[0]?.kind === 'batchNorm')
        add({ ...EMPTY, kind: 'batchNormScaleRelu', n, c, h, w }, `BatchNorm + Scale + ReLU, ${sizes}`);
      if (operation.kind === 'eltwise' && operation.operation === 'sum' && inputs.length === 2)
        add({ ...EMPTY, kind: 'addRelu', n, c, h, w }, `add + ReLU, ${sizes}`);
    }
    const fused = runPasses(written);
    for (const { operation, inputs, outputs } of fused.nodes) {
      if (operation.kind !== 'convolution' || operation.group !== 1) continue;
      const [n = 1, c = 1, h = 1, w = 1] = fused.values[inputs[0]!]!.shape;
      const [, outs = 1] = fused.values[outputs[0]!]!.shape;
      const [kernel] = operation.kernel;
      const [stride] = operation.stride;
      const [pad] = operation.pad;
      add(
        { kind: 'convolution', n, c, h, w, outputs: outs, kernel, stride, pad },
        `convolution ${kernel}×${kernel}${stride > 1 ? ` / ${stride}` : ''} + BatchNorm + ReLU, ${c}×${h}×${w} → ${outs}`,
      );
    }
  }
  const kinds = ['batchNormScaleRelu', 'addRelu', 'convolution'];
  const values = ({ n, c, h, w }: Problem) => n * c * h * w;
  return [...found.values()].sort(
    (a, b) =>
      kinds.indexOf(a.problem.kind) - kinds.indexOf(b.problem.kind) || values(b.problem) - values(a.problem),
  );
}

// Milliseconds of each run, from call to result, with the input on the device.
async function timeRuns(run: () => Promise<Float32Array>, runs: number): Promise<number[]> {
  for (let i = 0; i < 2; i++) await run(); // the second run captures a graph
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times;
}

async function measureNet(
  device: Device,
  { name, net, input }: BenchNet,
  batch: number,
  options: DeviceBenchOptions,
): Promise<NetTimes> {
  const { precision, runs, caffe } = options;
  const weights = recipeWeights(graphFromCaffe(net, { phase: 'TEST' }), SEED);
  const data = await device.buffer({ shape: [batch, ...input] });
  await data.upload(recipeInput([batch, ...input], SEED));
  const measured: { milliseconds: number[]; output: number[]; operations: number }[] = [];
  try {
    for (const optimize of [true, false]) {
      using model = await device.load({ model: net, weights, batch, precision, optimize });
      const run = async () => Object.values(await model.run({ data }))[0]!.data;
      const output = [...(await run())];
      const { length: operations } = model.plan().operations;
      measured.push({ milliseconds: await timeRuns(run, runs), output, operations });
    }
  } finally {
    data.dispose();
  }
  const [fused, apart] = measured as [(typeof measured)[0], (typeof measured)[0]];
  const difference = relativeDifference(fused.output, apart.output);
  if (!(difference <= BOUNDS[precision]))
    throw new ResnodeError(
      'bench/outputs-differ',
      `${name}, batch ${batch}: fused and layer by layer differ by ${difference} of the largest output`,
    );
  return {
    task: 'forward',
    net: name,
    batch,
    precision,
    milliseconds: fused.milliseconds,
    operations: fused.operations,
    layerByLayer: { milliseconds: apart.milliseconds, operations: apart.operations, difference },
    caffe: caffe === null ? null : await timeCaffe(caffe, { name, net, input }, batch),
    peers: timePeers({ name, net, input }, batch, options, null, fused.output),
  };
}

async function measureStep(
  device: Device,
  bench: BenchNet,
  batch: number,
  options: DeviceBenchOptions,
): Promise<NetTimes> {
  const { precision, runs, caffe } = options;
  const { name, net, input } = asTraining(bench);
  const graph = graphFromCaffe(net, { phase: 'TRAIN', batch });
  const [, classes = 1] =
    graph.values[graph.nodes.find(({ operation }) => operation.kind === 'softmaxLoss')!.inputs[0]!]!.shape;
  const weights = initialWeights(graph);
  const trainer = await device.train({ model: net, weights, batch, precision, update: SGD_UPDATE });
  const data = await device.buffer({ shape: [batch, ...input] });
  const label = await device.buffer({ shape: [batch] });
  try {
    await data.upload(recipeInput([batch, ...input], SEED));
    await label.upload(Float32Array.from({ length: batch }, (_, i) => (7 * i) % classes));
    let iteration = 0;
    const losses: number[] = [];
    const run = async () => {
      const { loss } = await trainer.step({ data, label }, { rate: RATE, iteration: iteration++ });
      losses.push(loss!.data[0]!);
      return loss!.data;
    };
    const milliseconds = await timeRuns(run, runs);
    if (!losses.every(Number.isFinite))
      throw new ResnodeError('bench/outputs-differ', `${name}, batch ${batch}: a loss is not finite`);
    const operations = trainer.plan().operations.length;
    const first = losses.slice(0, COMPARED_STEPS);
    const { skippedUpdates } = trainer;
    const ofCaffe = caffe === null ? null : await timeCaffe(caffe, { name, net, input }, batch);
    return {
      task: 'training',
      net: name,
      batch,
      precision,
      milliseconds,
      operations,
      losses: first,
      skippedUpdates,
      caffe: ofCaffe,
      peers: timePeers({ name, net, input }, batch, options, { rate: RATE, update: SGD_UPDATE }, first),
    };
  } finally {
    trainer.dispose();
    data.dispose();
    label.dispose();
  }
}

function timePeers(
  net: BenchNet,
  batch: number,
  { python = null, torchDevice = 'cuda:0', precision, runs, onProgress = () => {} }: DeviceBenchOptions,
  training: Training | null,
  expected: readonly number[],
): PeerTimes[] {
  if (python === null) return [];
  onProgress(`${net.name}, batch ${batch}, torch`);
  using files = writePeerFiles(net, batch, training === null ? 'TEST' : 'TRAIN');
  const bound = BOUNDS[precision];
  const request = { python, device: torchDevice, net, batch, precision, runs, training, expected, bound };
  return [timeTorch(files.folder, request)];
}

async function timeCaffe(caffe: string, { name, net }: BenchNet, batch: number) {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  try {
    const model = join(folder, `${name}.prototxt`);
    writeFileSync(model, printPrototxt(withBatch(net, batch)));
    return await runCaffeTime(caffe, model, { threads: 1, iterations: 20, gpu: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
