/**
 * ResNet-50, 101 and 152 on a GPU beside PyTorch (and JAX) with the same weights and input. Prints a line of JSON for
 * each measurement as soon as it is done; scripts/gpu-check.sh makes the table. The two engines take turns, so that
 * both meet the same clocks. Their outputs are compared first, and an engine whose outputs are not finite is not timed.
 * Input and weights are on the GPU; the probabilities are copied to the host.
 * --train: a training step instead (forward, loss, backward, SGD with momentum). The first losses are compared.
 *
 *   tsx bench/gpu.ts [--train] [--precisions float16,…] [--peers half,…] [--depths 50,…] [--batches 1,…] [--limit
 *   SECONDS]
 *
 * Precision int8 applies to forward runs only and is calibrated on its own input; it has no peer and no limit. Peers:
 * half, amp, compile, timm (explained in torch-peer.py), jax, and none; for training, amp and compile. Measurements
 * follow the order of the lists, with precisions outermost. The program names those for which time did not suffice;
 * another call can make them.
 * --no-operations: without the milliseconds of each operation. --no-cudnn: with resnode's own kernels only. --device
 * cuda:1: another GPU. --device cpu: on the processor, also for peers (a test without a GPU). --python FILE: a Python
 * with torch. --torch-scale: torch's first loss scale.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeviceKind } from '../ts/device/device.ts';
import { type Device, openDevice } from '../ts/index.ts';
import {
  type Ceilings,
  type Depth,
  type ForwardPrecision,
  makeNet,
  type Net,
  type Precision,
  rooflineSeconds,
  writeForTorch,
} from './gpu/case.ts';
import { compareAndTime, type Engine, type Times, timesRow } from './gpu/measure.ts';
import { type Answer, type PeerName, PythonPeer } from './gpu/python-peer.ts';
import { ResnodeRun } from './gpu/resnode.ts';
import { ResnodeTraining } from './gpu/resnode-training.ts';
import { stepLimit } from './gpu/schedule.ts';

const { values: options } = parseArgs({
  options: {
    precisions: { type: 'string', default: 'float16,float32,tf32,bfloat16' },
    peers: { type: 'string' },
    depths: { type: 'string', default: '50,101,152' },
    batches: { type: 'string', default: '1,256,8,32' },
    limit: { type: 'string', default: '600' },
    device: { type: 'string', default: 'cuda' },
    python: { type: 'string', default: 'python3' },
    train: { type: 'boolean', default: false },
    operations: { type: 'boolean', default: true },
    cudnn: { type: 'boolean', default: true },
    'torch-scale': { type: 'string', default: '1024' },
  },
  allowNegative: true,
});
const list = (text: string) => text.split(',').filter((word) => word !== '');
const depths = list(options.depths).map(Number) as Depth[];
const batches = list(options.batches).map(Number);
const variants = list(options.peers ?? (options.train ? 'amp,compile' : 'half,amp,compile'));
const peerDevice = options.device.startsWith('cuda') ? 'cuda' : 'cpu';

/** The allowed difference of the two outputs, as a share of the largest probability or loss. */
const BOUNDS: Record<ForwardPrecision, number> = {
  float32: 1e-3,
  tf32: 3e-2,
  float16: 3e-2,
  bfloat16: 0.2,
  int8: 0.5,
};
/**
 * Seconds that a measurement is expected to take until the first of its kind is done: resnode tunes; torch and JAX
 * compile.
 */
const takes = new Map([
  ['none', 20],
  ['amp', 20],
  ['half', 45],
  ['compile', 60],
  ['timm', 45],
  ['jax', 45],
]);

interface Case {
  readonly precision: ForwardPrecision;
  readonly peer: string;
  readonly depth: Depth;
  readonly batch: number;
}

const begin = performance.now();
const secondsLeft = () => Number(options.limit) - (performance.now() - begin) / 1000;
const print = (row: object) => console.log(JSON.stringify(row));
const messageOf = (error: unknown) => (error as Error).message;

const folder = mkdtempSync(join(tmpdir(), 'resnode-gpu-bench-'));
const nets = new Map<Depth, Net>();
const peers = new Map<PeerName, PythonPeer>();
let ceilings: Ceilings | null = null;

const processOf = (variant: string): PeerName => (variant === 'jax' ? 'jax' : 'torch');
const engineName = (variant: string) => (processOf(variant) === 'torch' ? `torch ${variant}` : variant);

async function startPeer(name: PeerName): Promise<PythonPeer> {
  const running = peers.get(name);
  if (running !== undefined && !running.ended) return running;
  const seconds = Math.min(120, secondsLeft());
  const { peer, about } = await PythonPeer.start(name, {
    seconds,
    device: peerDevice,
    python: options.python,
  });
  peers.set(name, peer);
  print(about);
  if (name === 'torch' && ceilings === null && peerDevice === 'cuda') {
    ceilings = (await peer.ask({ do: 'ceilings' }, secondsLeft())) as Ceilings;
    print({ ceilings });
  }
  return peer;
}

interface Rival extends Engine {
  /** Its first answer, when it was loaded. */
  readonly about: Answer;
}

async function rivalOf({ peer: variant, ...at }: Case): Promise<Rival> {
  const peer = await startPeer(processOf(variant));
  const request = options.train ? { do: 'train', scale: Number(options['torch-scale']) } : { do: 'load' };
  const { output, ...about } = await peer.ask({ ...request, folder, variant, ...at }, secondsLeft());
  const time = async (what: string, runs: number) =>
    (await peer.ask({ do: what, runs }, secondsLeft())).milliseconds as number[];
  return {
    name: engineName(variant),
    about,
    output: async () => {
      if (output === undefined) return null;
      const bytes = readFileSync(output as string);
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    },
    latency: (runs) => time('latency', runs),
    throughput: (runs) => time('throughput', runs),
    ...(options.train
      ? { skippedUpdates: async () => (await peer.ask({ do: 'skipped' }, secondsLeft())).skipped as number }
      : {}),
  };
}

/**
 * The lower bound of the time, and its share. For a training step it is that of resnode's schedule, and does not apply
 * to others.
 */
function limitOf({ depth, batch, precision }: Case, name: string, times: Times) {
  if (ceilings === null || precision === 'int8' || (options.train && name !== 'resnode')) return {};
  const limit = options.train ? stepLimit(nets.get(depth)!, batch, precision, ceilings) : null;
  const least = limit?.milliseconds ?? 1000 * rooflineSeconds(nets.get(depth)!, batch, precision, ceilings);
  const { median } = timesRow(batch, times).throughputMilliseconds;
  return {
    rooflineMilliseconds: least,
    ofRoofline: least / median,
    ...(limit === null ? {} : { limitByWork: limit.byWork, scheduleBytes: limit.bytes }),
  };
}

// Writes numbers that JSON cannot represent as words.
const losses = (output: Float32Array | null) =>
  output === null ? [] : [...output].map((value) => (Number.isFinite(value) ? value : String(value)));

async function measureCase(at: Case, device: Device): Promise<void> {
  const { precision, peer, depth, batch } = at;
  const about = { depth, batch, precision, ...(options.train ? { train: true } : {}) };
  const refuse = (engine: string, reason: string) => print({ ...about, engine, reason });
  if (options.train && precision === 'int8') return refuse('resnode', 'nothing is trained in int8');
  const start = performance.now();
  const net = nets.get(depth)!;
  const loading = options.train
    ? ResnodeTraining.load(device, net, batch, precision as Precision)
    : ResnodeRun.load(device, net, batch, precision);
  using own = await loading.catch((error: unknown) => {
    refuse('resnode', messageOf(error));
    return null;
  });
  const loadSeconds = (performance.now() - start) / 1000;
  const rival =
    peer === 'none'
      ? null
      : await rivalOf(at).catch((error: unknown) => {
          refuse(engineName(peer), messageOf(error));
          return null;
        });
  const engines: Engine[] = [own, rival].filter((engine) => engine !== null);
  const compared = await compareAndTime(engines);
  const ownSpeed =
    own !== null && compared[0]!.times !== null ? timesRow(batch, compared[0]!.times).imagesPerSecond : null;
  for (const [i, engine] of engines.entries()) {
    const { output, refusal, apart, times } = compared[i]!;
    const more = {
      ...(options.train ? { losses: losses(output) } : {}),
      ...(engine.skippedUpdates === undefined ? {} : { skippedUpdates: await engine.skippedUpdates() }),
      ...(engine === own ? { beside: peer, loadSeconds } : { about: rival!.about }),
    };
    if (times === null) {
      print({ ...about, engine: engine.name, ...more, reason: refusal });
      continue;
    }
    const row = timesRow(batch, times);
    const agrees = apart === null ? null : apart <= BOUNDS[precision];
    const isCompared = engine !== own && ownSpeed !== null && (agrees ?? peer === 'timm');
    print({
      ...about,
      engine: engine.name,
      ...more,
      ...row,
      ...limitOf(at, engine.name, times),
      ...(engine === own ? {} : { apart, agrees }),
      // An engine with other results is neither slower nor faster.
      ...(isCompared ? { resnodeIsFasterBy: ownSpeed / row.imagesPerSecond } : {}),
    });
  }
  if (own === null) return;
  print({ ...about, implementations: own.implementations });
  if (options.operations) print({ ...about, operations: await own.operations() });
}

try {
  using device = await openDevice(options.device as DeviceKind, { cudnn: options.cudnn });
  print({ about: device.description });
  // Torch measures the ceilings. Without it, the other engines are measured nevertheless.
  const noTorch = variants.some((variant) => processOf(variant) === 'torch' && variant !== 'none')
    ? await startPeer('torch').then(() => null, messageOf)
    : null;
  if (noTorch !== null) print({ noTorch });
  const usable = variants.filter((variant) => noTorch === null || processOf(variant) !== 'torch');
  for (const depth of depths) nets.set(depth, makeNet(depth));
  const cases = (list(options.precisions) as ForwardPrecision[]).flatMap((precision) =>
    (usable.length === 0 ? ['none'] : usable).flatMap((peer) =>
      depths.flatMap((depth) => batches.map((batch): Case => ({ precision, peer, depth, batch }))),
    ),
  );
  let written: Depth | null = null;
  for (const at of cases) {
    const { depth, batch, precision, peer } = at;
    if (secondsLeft() < (takes.get(peer) ?? 0)) {
      const engine = peer === 'none' ? 'resnode' : engineName(peer);
      print({ depth, batch, precision, engine, reason: 'no time was left' });
      continue;
    }
    if (written !== depth) writeForTorch(nets.get(depth)!, batches, folder);
    written = depth;
    const start = performance.now();
    await measureCase(at, device).catch((error: unknown) =>
      print({ depth, batch, precision, engine: 'resnode', reason: messageOf(error) }),
    );
    takes.set(peer, (performance.now() - start) / 1000);
  }
} finally {
  for (const peer of peers.values()) peer.end();
  rmSync(folder, { recursive: true, force: true });
}
