/** Who is measured: resnode, and those peers that are there. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ownFile, ownPackage } from '../../base/own-package.ts';

export interface Engine {
  /** As measure.ts and torch-engine.py know it. */
  readonly name: string;
  readonly version: string | null;
  /** Why it is not measured; null where it is. Never estimated. */
  readonly absent: string | null;
  /** It runs the net after resnode's rewrites, which take fewer multiply-accumulates than it is written with. */
  readonly rewrites: boolean;
  readonly trains: boolean;
  /** The Python that runs it; null: this Node.js does. */
  readonly python: string | null;
}

export const torchEngine = ownFile('tools/bench/torch-engine.py');

/**
 * resnode first.
 * @param python A Python with torch; null: torch is absent.
 */
export function findEngines(python: string | null): Engine[] {
  return [
    {
      name: 'resnode',
      version: ownPackage().version,
      absent: null,
      rewrites: true,
      trains: true,
      python: null,
    },
    npmPeer('onnxruntime-node'),
    ...torchPeers(python),
  ];
}

function npmPeer(name: string): Engine {
  const common = { name, rewrites: false, trains: false, python: null };
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

/** Both memory layouts: which is the better one depends on the net and the processor. */
function torchPeers(python: string | null): Engine[] {
  const common = { rewrites: false, trains: true, python };
  const absent = (reason: string) => [{ ...common, name: 'torch', version: null, absent: reason }];
  if (python === null) return absent('no Python was named (--python PATH)');
  const job = JSON.stringify({ what: 'version', threads: 1 });
  const { status, stdout, stderr, error } = spawnSync(python, [torchEngine, job], { encoding: 'utf8' });
  if (status !== 0)
    return absent(`${python}: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? 'it failed'}`);
  const { version } = (JSON.parse(stdout) as { answer: { version: string } }).answer;
  return ['torch', 'torch channels_last'].map((name) => ({ ...common, name, version, absent: null }));
}
