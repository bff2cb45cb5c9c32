/** Who is measured: resnode, and those peers that are installed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export interface Engine {
  /** As measure.mjs knows it. */
  readonly name: string;
  readonly version: string | null;
  /** Why it is not measured; null where it is. Never estimated. */
  readonly absent: string | null;
  /** It runs the net after resnode's rewrites, which take fewer multiply-accumulates than it is written with. */
  readonly rewrites: boolean;
}

/** resnode first. */
export function findEngines(): Engine[] {
  const own = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return [
    { name: 'resnode', version: own.version, absent: null, rewrites: true },
    npmPeer('onnxruntime-node'),
  ];
}

function npmPeer(name: string): Engine {
  try {
    // A package whose `exports` hide its package.json is found by its folder.
    const entry = createRequire(import.meta.url).resolve(name);
    const folder = join(entry.slice(0, entry.lastIndexOf(join('node_modules', name))), 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { name, version, absent: null, rewrites: false };
  } catch {
    return { name, version: null, absent: `not installed (npm install ${name})`, rewrites: false };
  }
}
