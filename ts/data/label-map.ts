/** Reads label maps: a class for each pixel, as DeepLab's ImageSegData reads them from a PNG. */
import { readFile } from 'node:fs/promises';
import { DataError } from '../base/errors.ts';
import { checkRegularFile } from '../base/files.ts';
import { decodeIndexedPng } from '../images/indexed-png.ts';

export interface LabelMap {
  readonly width: number;
  readonly height: number;
  readonly map: Uint8Array;
}

/** @throws DataError `data/not-found`; ImageError for a file that is not a PNG of indices */
export async function readLabelMap(path: string): Promise<LabelMap> {
  return decodeIndexedPng(await bytesOf(path), path);
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    checkRegularFile(path);
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new DataError('data/not-found', {}, 'there is no such file');
  }
}

/** The labels of a map, each with the first pixel that has it. */
export function firstPixels({ map, width }: LabelMap): { label: number; pixel: string }[] {
  const seen = new Set<number>();
  const found: { label: number; pixel: string }[] = [];
  map.forEach((label, i) => {
    if (seen.has(label)) return;
    seen.add(label);
    found.push({ label, pixel: `row ${Math.floor(i / width)}, column ${i % width}` });
  });
  return found;
}
