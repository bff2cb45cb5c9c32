/** Reads the weights that training starts from. */
import { readFile } from 'node:fs/promises';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { readWeights } from '../caffe/read-weights.ts';

/**
 * Combines several weights files: if several have a layer of the same name, the last file counts, as when Caffe loads
 * the files in turn.
 * @returns Null if there is no file.
 * @throws WeightsError
 */
export async function readInitialWeights(paths: readonly string[]): Promise<WeightsFile | null> {
  const files: WeightsFile[] = [];
  for (const path of paths) files.push(await readWeights(path, readFile));
  if (files.length <= 1) return files[0] ?? null;
  const layers = new Map(files.flatMap((file) => file.layers).map((layer) => [layer.name, layer]));
  return { file: paths.join(', '), name: files[0]!.name, layers: [...layers.values()] };
}
