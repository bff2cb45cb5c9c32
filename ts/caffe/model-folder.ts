/** A model folder: a net with all that belongs to it, as one thing to pass around. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ArgumentError } from '../base/errors.ts';

/** Names of its files, the first one's before the second's: Caffe's users call the net deploy.prototxt. */
export const MODEL_FILES = {
  model: ['model.prototxt', 'deploy.prototxt'],
  weights: ['model.caffemodel', 'model.caffemodel.h5'],
  labels: ['labels.txt'],
  preprocess: ['preprocess.json'],
  calibration: ['calibration.json'],
} as const;

export type ModelFile = keyof typeof MODEL_FILES;

/** Whether a path is a folder. */
export const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * The files that a model folder has, absolute.
 * @param needed Those that it must have.
 * @throws ArgumentError naming the folder and the file that it lacks
 */
export function filesOfModelFolder<Needed extends ModelFile>(
  folder: string,
  needed: readonly Needed[],
): { readonly [Name in ModelFile]?: string } & { readonly [Name in Needed]: string } {
  const path = resolve(folder);
  const found = Object.entries(MODEL_FILES).flatMap(([name, names]) => {
    const file = names.map((each) => join(path, each)).find((each) => existsSync(each));
    return file === undefined ? [] : [[name, file]];
  });
  const files = Object.fromEntries(found) as { [Name in ModelFile]?: string };
  for (const name of needed)
    if (files[name] === undefined)
      throw new ArgumentError(
        'the model folder',
        `a folder with ${needed.map((each) => MODEL_FILES[each][0]).join(' and ')}`,
        `${path}, which ${isFolder(path) ? `lacks ${MODEL_FILES[name].join(' or ')}` : 'is no folder'}`,
      );
  return files as ReturnType<typeof filesOfModelFolder<Needed>>;
}
