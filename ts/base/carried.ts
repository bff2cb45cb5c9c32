/** Packages that resnode carries in its own folder, so that nobody installs them: scripts/build-dist.mjs puts them there. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ownFile } from './own-package.ts';

/** @param name A module or a file of a package, e.g. `@dagrejs/dagre`. A checkout has it as a development dependency. */
export function carried(name: string): string {
  const file = ownFile(`carried/${name}`);
  const found = [file, `${file}.cjs`].find((path) => existsSync(path));
  return found ?? createRequire(import.meta.url).resolve(name);
}

/** What such a module exports. */
export function requireCarried(name: string): unknown {
  const file = carried(name);
  return createRequire(file)(file);
}
