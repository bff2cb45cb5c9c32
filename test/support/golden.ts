/** Finds the golden data of real Caffe: `RESNODE_GOLDEN`, or `shared/golden` next to the checkout. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** The folder of the checkout. */
export const repositoryFolder = root;

/** `shared/` next to the checkout (models, data, golden), or null if it does not exist. */
export function sharedFolder(): string | null {
  const folder = process.env.RESNODE_SHARED ?? resolve(root, '../shared');
  return existsSync(folder) ? folder : null;
}

/** The golden folder, or null, after printing why the caller skips. */
export function goldenFolder(): string | null {
  const folder = process.env.RESNODE_GOLDEN ?? resolve(root, '../shared/golden');
  if (existsSync(folder)) return folder;
  console.log(
    `skipped: no golden data at ${folder}; set RESNODE_GOLDEN to the folder that holds layers/, syntax/, …`,
  );
  return null;
}

/** Sorted folders under `golden/<group>` with a manifest.json. */
export function goldenCases(group: string): string[] {
  const folder = goldenFolder();
  if (folder === null || !existsSync(join(folder, group))) return [];
  return readdirSync(join(folder, group))
    .sort()
    .map((name) => join(folder, group, name))
    .filter((path) => existsSync(join(path, 'manifest.json')));
}

/** Reads one JSON file. */
export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** Reads raw little-endian float32. */
export function readFloats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
