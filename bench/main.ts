/**
 * ResNet-50 against onnxruntime-node on the same weights, float32: `npm run bench [ROUNDS]`. Each engine runs in a
 * process of its own, in turn, so that neither one's threads disturb the other. Outputs are compared first.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goldenFolder } from '../test/support/golden.ts';
import { graphFromCaffe, openDevice, readNet } from '../ts/index.ts';
import { recipeInput, recipeWeights } from '../ts/parity/recipe.ts';
import { toOnnx } from './onnx.ts';

const THREADS = 2;
const SEED = 20151210;

interface Result {
  milliseconds: number[];
  top: number;
  prob: number;
  peakMegabytes: number;
}

async function measure(run: () => Promise<Float32Array>, rounds: number): Promise<Result> {
  let output = new Float32Array();
  for (let i = 0; i < 3; i++) output = (await run()) as Float32Array<ArrayBuffer>;
  const milliseconds = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await run();
    milliseconds.push(performance.now() - start);
  }
  const top = output.subarray(0, 1000).reduce((best, value, i, all) => (value > all[best]! ? i : best), 0);
  return { milliseconds, top, prob: output[top]!, peakMegabytes: process.resourceUsage().maxRSS / 1024 };
}

async function engine(name: string, folder: string, batch: number): Promise<Result> {
  if (name === 'sgemm') {
    const device = await openDevice('cpu', { threads: THREADS });
    const layer = [
      { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [2048, 2048] }] } },
      {
        name: 'ip',
        type: 'InnerProduct',
        bottom: ['data'],
        top: ['ip'],
        inner_product_param: { num_output: 2048 },
      },
    ];
    const model = await device.load({ model: { layer } });
    const matrix = new Float32Array(2048 * 2048);
    const times = [];
    for (let i = 0; i < 8; i++) times.push((await model.time({ data: matrix }))[0]!.milliseconds);
    return { milliseconds: times, top: 0, prob: 0, peakMegabytes: 0 };
  }
  const bytes = readFileSync(join(folder, `input${batch}.f32`));
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const shape = [batch, 3, 224, 224];
  const rounds = Math.max(4, 24 / batch);
  if (name === 'resnode') {
    const device = await openDevice('cpu', { threads: THREADS });
    const model = await device.load({
      model: join(folder, 'net.prototxt'),
      weights: join(folder, 'net.caffemodel'),
      batch,
    });
    return measure(async () => (await model.run({ data })).prob!.data, rounds);
  }
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const session = await InferenceSession.create(join(folder, `net${batch}.onnx`), {
    intraOpNumThreads: THREADS,
    graphOptimizationLevel: 'all',
  });
  const feeds = { [session.inputNames[0]!]: new Tensor('float32', data, shape) };
  return measure(
    async () => (await session.run(feeds))[session.outputNames[0]!]!.data as Float32Array,
    rounds,
  );
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const spread = (values: readonly number[]) =>
  `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`;

function child(name: string, folder: string, batch: number): Result {
  const run = spawnSync(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(import.meta.url), '--engine', name, folder, String(batch)],
    { encoding: 'utf8' },
  );
  if (run.status !== 0) throw new Error(`${name} failed: ${run.stderr}`);
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Result;
}

/** A caffemodel with one field a layer: enough to be read back from disk, mapped. */
function writeCaffemodel(path: string, weights: ReturnType<typeof recipeWeights>): void {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
  const field = (number: number, data: Uint8Array) =>
    Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(data.length)]), data]);
  writeFileSync(
    path,
    Buffer.concat(
      weights.layers.map(({ name, blobs }) =>
        field(
          100,
          Buffer.concat([
            field(1, Buffer.from(name)),
            ...blobs.map((blob) =>
              field(
                7,
                Buffer.concat([
                  field(7, field(1, Buffer.from(blob.shape.flatMap((dim) => varint(dim))))),
                  field(5, blob.bytes),
                ]),
              ),
            ),
          ]),
        ),
      ),
    ),
  );
}

if (process.argv[2] === '--engine') {
  console.log(JSON.stringify(await engine(process.argv[3]!, process.argv[4]!, Number(process.argv[5]))));
  process.exit(0);
}
const golden = goldenFolder();
if (golden !== null) {
  const rounds = Number(process.argv[2] ?? 3);
  const folder = mkdtempSync(join(tmpdir(), 'resnode-bench-'));
  try {
    const path = join(golden, 'recipe/resnet50/net.prototxt');
    const net = readNet(readFileSync(path, 'utf8'), { file: path });
    const full = graphFromCaffe(net);
    const weights = recipeWeights(full, SEED);
    const blobs = new Map(
      weights.layers.flatMap(({ name, blobs: list }) =>
        list.map((blob, i) => [`${name}/${i}`, blob] as const),
      ),
    );
    writeFileSync(join(folder, 'net.prototxt'), readFileSync(path));
    writeCaffemodel(join(folder, 'net.caffemodel'), weights);
    console.log(`${cpus()[0]!.model}, ${THREADS} threads, float32, load ${loadavg()[0]!.toFixed(2)}`);
    const peak = (2 * 2048 ** 3) / median(child('sgemm', folder, 1).milliseconds) / 1e6;
    console.log(`sgemm 2048³ through the same library: ${peak.toFixed(0)} GFLOP/s`);
    for (const batch of [1, 8]) {
      const graph = graphFromCaffe(net, { batch });
      writeFileSync(
        join(folder, `net${batch}.onnx`),
        toOnnx(graph, (id) => blobs.get(`${full.parameters[id]!.layer}/${full.parameters[id]!.index}`)!),
      );
      writeFileSync(
        join(folder, `input${batch}.f32`),
        new Uint8Array(recipeInput([batch, 3, 224, 224], SEED).buffer),
      );
      const [ours, theirs]: [Result[], Result[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        ours.push(child('resnode', folder, batch));
        theirs.push(child('onnxruntime', folder, batch));
      }
      const [a, b] = [ours[0]!, theirs[0]!];
      if (a.top !== b.top || Math.abs(a.prob - b.prob) > 1e-4 * b.prob)
        throw new Error(`outputs differ: ${a.top} ${a.prob} and ${b.top} ${b.prob}`);
      const [x, y] = [ours.flatMap((each) => each.milliseconds), theirs.flatMap((each) => each.milliseconds)];
      const flops = 2 * 3.482255e9 * batch;
      console.log(
        `batch ${batch}: resnode ${((1000 * batch) / median(x)).toFixed(1)} images/s (median ${median(x).toFixed(1)} ms, ${spread(x)}; ${((100 * flops) / median(x) / 1e6 / peak).toFixed(0)}% of sgemm; peak ${a.peakMegabytes.toFixed(0)} MB)`,
      );
      console.log(
        `         onnxruntime-node ${((1000 * batch) / median(y)).toFixed(1)} images/s (median ${median(y).toFixed(1)} ms, ${spread(y)}; peak ${b.peakMegabytes.toFixed(0)} MB)`,
      );
      console.log(`         ratio of medians ${(median(y) / median(x)).toFixed(2)}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
