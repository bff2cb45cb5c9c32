/** The engines to measure: resnode, and the installed ones of its peers. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ownFile, ownPackage } from '../../base/own-package.ts';

export interface Engine {
  /** The name in measure.ts and torch-engine.py. */
  readonly name: string;
  readonly version: string | null;
  /** The reason why it is not measured; null if it is. Figures are never estimated. */
  readonly absent: string | null;
  /** The engine runs the net after resnode's rewrites, which need fewer multiply-accumulates than the original. */
  readonly rewrites: boolean;
  readonly trains: boolean;
  /** The allowed difference of its first result from resnode's in float32, relative to the largest value. */
  readonly bound: number;
  /** The Python that runs it; null: this Node.js. */
  readonly python: string | null;
}

/** The tolerance between engines in float32, relative to the largest output. */
export const FORWARD_BOUND = 1e-4;
/** What the CPU can be measured in, beside float32. */
export type CpuPrecision = 'float32' | 'bfloat16' | 'int8';

/** The tolerance for a deep net in 16 and in 8 bits. */
const NARROW_BOUND = 0.2;

export const torchEngine = ownFile('tools/bench/torch-engine.py');

/**
 * The engines, resnode first.
 * @param python A Python with torch; null: no torch.
 * @param precision What resnode, and onnxruntime-node in int8, are measured in beside float32.
 */
export function findEngines(python: string | null, precision: CpuPrecision = 'float32'): Engine[] {
  const own = {
    name: 'resnode',
    version: ownPackage().version,
    absent: null,
    rewrites: true,
    trains: true,
    bound: FORWARD_BOUND,
    python: null,
  };
  const peer = npmPeer('onnxruntime-node');
  const narrow = (engine: Engine): Engine => ({
    ...engine,
    name: `${engine.name} ${precision}`,
    trains: false,
    bound: NARROW_BOUND,
  });
  return [
    own,
    ...(precision === 'float32' ? [] : [narrow(own)]),
    ...onnxRuntimePeers(peer),
    ...(precision === 'int8' ? [narrow({ ...peer, absent: peer.absent ?? cannotQuantize(python) })] : []),
    ...torchPeers(python),
  ];
}

/** ONNX Runtime's quantization is part of its Python package. */
function cannotQuantize(python: string | null): string | null {
  if (python === null) return 'no Python with onnxruntime and onnx was named (--python PATH)';
  const run = spawnSync(python, ['-c', 'import onnxruntime.quantization'], { encoding: 'utf8' });
  return run.status === 0 ? null : failureOf(python, run);
}

const failureOf = (python: string, { stderr, error }: SpawnSyncReturns<string>) =>
  `${python}: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? 'it failed'}`;

function npmPeer(name: string): Engine {
  const common = { name, rewrites: false, trains: false, bound: FORWARD_BOUND, python: null };
  try {
    // A package whose `exports` hide its package.json is found by its folder.
    const entry = createRequire(import.meta.url).resolve(name);
    const folder = join(entry.slice(0, entry.lastIndexOf(join('node_modules', name))), 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { ...common, version, absent: null };
  } catch {
    return { ...common, version: null, absent: `not installed (npm install ${name})` };
  }
}

/** Threads that poll for work between operations, and threads that sleep, because it depends on the net which are faster. */
const onnxRuntimePeers = (peer: Engine): Engine[] =>
  peer.absent === null ? [peer, { ...peer, name: `${peer.name} allow_spinning 0` }] : [peer];

/** Both memory layouts, because the faster one depends on the net and the processor. */
function torchPeers(python: string | null): Engine[] {
  const common = { rewrites: false, trains: true, bound: FORWARD_BOUND, python };
  const absent = (reason: string) => [{ ...common, name: 'torch', version: null, absent: reason }];
  if (python === null) return absent('no Python was named (--python PATH)');
  const job = JSON.stringify({ what: 'version', threads: 1 });
  const run = spawnSync(python, [torchEngine, job], { encoding: 'utf8' });
  if (run.status !== 0) return absent(failureOf(python, run));
  const { version } = (JSON.parse(run.stdout) as { answer: { version: string } }).answer;
  return ['torch', 'torch channels_last'].map((name) => ({ ...common, name, version, absent: null }));
}
