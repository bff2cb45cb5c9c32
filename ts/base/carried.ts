/**
 * Packages that resnode contains in its own folder, so that users need not install them; scripts/build-dist.mjs copies them
 * there.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ownFile } from './own-package.ts';

/** @param name A module or a file of a package, e.g. `@dagrejs/dagre`. In a checkout it is a development dependency. */
export function carried(name: string): string {
  const file = ownFile(`carried/${name}`);
  const found = [file, `${file}.cjs`].find((path) => existsSync(path));
  return found ?? createRequire(import.meta.url).resolve(name);
}

/** The exports of such a module. */
export function requireCarried(name: string): unknown {
  const file = carried(name);
  return createRequire(file)(file);
}
