/**
 * ResNet-50, 101 and 152 on a GPU beside PyTorch on the same weights and input. Prints a line of JSON a measurement,
 * as they come; scripts/gpu-check.sh makes the table. The two engines take turns, so that both meet the same clocks,
 * and their outputs are compared first. Input and weights are on the GPU; the probabilities are fetched.
 * --train: a training step instead (forward, loss, backward, SGD with momentum), and the first losses are compared.
 *
 *   tsx bench/gpu.ts [--train] [--precisions float16,…] [--peers amp,compile] [--depths 50,…] [--batches 1,…] [--limit SECONDS]
 *
 * The order is that of the lists, precisions outermost: what time does not allow is told, another call can do it.
 * --device cuda:1: another GPU. --python FILE: the Python that has torch.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Device, openDevice } from '../ts/index.ts';
import type { DeviceKind } from '../ts/runtime/device.ts';
import {
  type Ceilings,
  type Depth,
  makeNet,
  type Net,
  type Precision,
  rooflineSeconds,
  writeForTorch,
} from './gpu/case.ts';
import { apart, type Engine, type Times, takeTurns, timesRow } from './gpu/measure.ts';
import { ResnodeRun } from './gpu/resnode.ts';
import { ResnodeTraining } from './gpu/resnode-training.ts';
import { TorchPeer } from './gpu/torch.ts';

const { values: options } = parseArgs({
  options: {
    precisions: { type: 'string', default: 'float16,float32,tf32,bfloat16' },
    peers: { type: 'string', default: 'amp,compile' },
    depths: { type: 'string', default: '50,101,152' },
    batches: { type: 'string', default: '1,256,8,32,128' },
    limit: { type: 'string', default: '600' },
    device: { type: 'string', default: 'cuda' },
    python: { type: 'string', default: 'python3' },
    train: { type: 'boolean', default: false },
  },
});
const list = (text: string) => text.split(',').filter((word) => word !== '');
const depths = list(options.depths).map(Number) as Depth[];
const batches = list(options.batches).map(Number);

/** How far the two outputs may be apart, as a share of the largest probability or loss. */
const BOUNDS: Record<Precision, number> = { float32: 1e-3, tf32: 3e-2, float16: 3e-2, bfloat16: 0.2 };
/** Forward, and of each convolution the gradients by its input and by its weights. */
const passes = options.train ? 3 : 1;
/** Seconds of a measurement, before the first of its kind has shown it: resnode tunes, torch compiles. */
const takes = new Map([
  ['amp', 20],
  ['compile', 60],
  ['none', 45],
]);

interface Case {
  readonly precision: Precision;
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
let torch: TorchPeer | null = null;
let ceilings: Ceilings | null = null;

async function startTorch(): Promise<void> {
  const { peer, about } = await TorchPeer.start(Math.min(120, secondsLeft()), options.python);
  torch = peer;
  print({ torch: about });
  if (ceilings !== null) return;
  ceilings = (await peer.ask({ do: 'ceilings' }, secondsLeft())) as Ceilings;
  print({ ceilings });
}

async function torchEngine({ peer: variant, ...at }: Case): Promise<Engine> {
  if (torch === null || torch.ended) await startTorch();
  const peer = torch!;
  const { output } = await peer.ask(
    { do: options.train ? 'train' : 'load', folder, variant, ...at },
    secondsLeft(),
  );
  const time = async (what: string, runs: number) =>
    (await peer.ask({ do: what, runs }, secondsLeft())).milliseconds as number[];
  return {
    name: `torch ${variant}`,
    output: async () => {
      const bytes = readFileSync(output as string);
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    },
    latency: (runs) => time('latency', runs),
    throughput: (runs) => time('throughput', runs),
  };
}

function rowOf(at: Case, { name }: Engine, times: Times) {
  const { peer, depth, batch, precision } = at;
  const row = timesRow(batch, times);
  const least =
    ceilings === null
      ? undefined
      : 1000 * passes * rooflineSeconds(nets.get(depth)!, batch, precision, ceilings);
  const roofline =
    least === undefined
      ? {}
      : { rooflineMilliseconds: least, ofRoofline: least / row.throughputMilliseconds.median };
  return {
    depth,
    batch,
    precision,
    ...(options.train ? { train: true } : {}),
    engine: name,
    ...(name === 'resnode' ? { beside: peer } : {}),
    ...row,
    ...roofline,
  };
}

async function measureCase(at: Case, device: Device): Promise<void> {
  const { precision, peer, depth, batch } = at;
  const refuse = (engine: string, reason: string) => print({ depth, batch, precision, engine, reason });
  const ownEngine = options.train ? ResnodeTraining : ResnodeRun;
  using own = await ownEngine.load(device, nets.get(depth)!, batch, precision).catch((error: unknown) => {
    refuse('resnode', messageOf(error));
    return null;
  });
  const rival =
    peer === 'none'
      ? null
      : await torchEngine(at).catch((error: unknown) => {
          refuse(`torch ${peer}`, messageOf(error));
          return null;
        });
  const engines = [own, rival].filter((engine) => engine !== null);
  const outputs = await Promise.all(engines.map((engine) => engine.output()));
  const distance = outputs.length < 2 ? null : apart(outputs[0]!, outputs[1]!);
  const times = await takeTurns(engines);
  const rows = engines.map((engine, i) => ({
    ...rowOf(at, engine, times[i]!),
    // A loss that is no number is null in JSON, and says so by that.
    ...(options.train ? { losses: [...outputs[i]!] } : {}),
  }));
  const [ours, theirs] = rows;
  for (const row of rows)
    print(
      row === ours || distance === null
        ? row
        : {
            ...row,
            apart: distance,
            agrees: distance <= BOUNDS[precision],
            resnodeIsFasterBy: ours!.imagesPerSecond / theirs!.imagesPerSecond,
          },
    );
  if (own !== null) print({ depth, batch, precision, implementations: own.implementations });
}

try {
  using device = await openDevice(options.device as DeviceKind);
  print({ about: device.description });
  const noTorch = await startTorch().then(() => null, messageOf);
  if (noTorch !== null) print({ noTorch });
  for (const depth of depths) {
    nets.set(depth, makeNet(depth));
  }
  const cases = (list(options.precisions) as Precision[]).flatMap((precision) =>
    (noTorch === null ? list(options.peers) : ['none']).flatMap((peer) =>
      depths.flatMap((depth) => batches.map((batch): Case => ({ precision, peer, depth, batch }))),
    ),
  );
  let written: Depth | null = null;
  for (const at of cases) {
    const { depth, batch, precision, peer } = at;
    if (secondsLeft() < takes.get(peer)!) {
      print({
        depth,
        batch,
        precision,
        engine: peer === 'none' ? 'resnode' : `torch ${peer}`,
        reason: 'no time was left',
      });
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
  (torch as TorchPeer | null)?.end();
  rmSync(folder, { recursive: true, force: true });
}
