/** Reads folders and lists of images with known classes. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ArgumentError } from '../../base/errors.ts';
import { checkFileSize, MAX_LIST_BYTES } from '../../base/files.ts';
import { integer, list, path, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { checkIsList, readListLine } from '../../data/list-lines.ts';
import { listImages } from '../list-images.ts';

/** How classes were found: from a list, by the synset id or the name in the labels, or by the order of the folders. */
export type MatchedBy = 'list' | 'synset id' | 'name' | 'sorted order';

export interface LabelledFiles {
  readonly matchedBy: MatchedBy;
  readonly files: readonly { readonly image: string; readonly label: number }[];
  /**
   * Files and folders that are skipped, relative to the folder: without the name of an image, hidden, or folders without
   * images (with a slash).
   */
  readonly ignored: readonly string[];
}

export interface DatasetOptions {
  /** The number of classes of the net. */
  readonly classes: number;
  /** Class names in the net's order (`readLabels`). Default none. */
  readonly labels?: readonly string[] | undefined;
}

/** Rows of DatasetOptions. */
export const datasetRows = {
  classes: required(integer(1), 'The number of classes of the net.'),
  labels: optional(list(string, { of: 'class names' }), 'none', "The class names, in the net's order."),
};

export const datasetOptions = options<DatasetOptions>(datasetRows);

const READ_LABELLED_IMAGES = signature('readLabelledImages', {
  path: required(path, 'A folder or a list.'),
  options: required(datasetOptions, 'The classes.'),
});

/**
 * Finds images with their classes:
 * - a text file is Caffe's list, with one `path label` per line and paths relative to the list;
 * - in a folder of folders each one is a class. Its name is the synset id of a label, a label, or one of the names in a
 *   label, which are separated by commas. If no folder has such a name and there are as many folders as classes, their
 *   sorted order counts;
 * - a folder of files whose names begin with a synset id (`n01484850_great_white_shark.JPEG`) needs labels that begin with
 *   one, too.
 * @throws ArgumentError that says where, what was found and what was expected
 */
export function readLabelledImages(path: string, options: DatasetOptions): LabelledFiles {
  READ_LABELLED_IMAGES.check(path, options);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new ArgumentError('images', 'a folder or a list', path, 'there is no such file or folder');
  if (!stats.isDirectory()) return readList(path, options.classes);
  const { folders, ignored } = listClassFolders(path);
  const { files: loose } = listImages(path, { recursive: false });
  if (folders.length > 0 && loose.length > 0)
    throw new ArgumentError(
      'images',
      'either a folder per class or files, so that every image has a class',
      path,
      `it has ${folders.length} folders and, beside them, ${loose[0]}`,
    );
  if (folders.length > 0) return { ...readClassFolders(path, folders, options), ignored };
  if (loose.length > 0) return { ...readSynsetFiles(loose, options), ignored };
  throw new ArgumentError(
    'images',
    'a folder with images',
    path,
    ignored.length === 0
      ? undefined
      : `its ${ignored.length} files have names that no image has (${ignored.slice(0, 3).join(', ')})`,
  );
}

/** A folder of images, including its subfolders. */
export interface ClassFolder {
  readonly name: string;
  readonly files: readonly string[];
}

export interface ClassFolders {
  /** The folders that contain images, sorted by name, each with its files, sorted. */
  readonly folders: readonly ClassFolder[];
  /** Skipped entries, relative to the path: files without the name of an image, hidden ones, folders without images. */
  readonly ignored: readonly string[];
}

/**
 * The folders in `path`, one per class.
 * @throws the file system's error
 */
export function listClassFolders(path: string): ClassFolders {
  const ignored: string[] = [...listImages(path, { recursive: false }).ignored];
  const folders: ClassFolder[] = [];
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const { name } = entry;
    if (!entry.isDirectory() && !(entry.isSymbolicLink() && isFolder(join(path, name)))) continue;
    const found = name.startsWith('.') ? { files: [], ignored: [] } : listImages(join(path, name));
    if (found.files.length > 0) folders.push({ name, files: found.files });
    else ignored.push(`${name}/`);
    ignored.push(...found.ignored.map((file) => join(name, file)));
  }
  return { folders: folders.sort((a, b) => (a.name < b.name ? -1 : 1)), ignored: ignored.sort() };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function readList(list: string, classes: number): LabelledFiles {
  checkFileSize(list, MAX_LIST_BYTES, 'lists of images');
  const bytes = readFileSync(list);
  checkIsList(bytes, list);
  const files = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .flatMap((line, i) => {
      const read = readListLine(line, { negative: false });
      if (read === null) return [];
      if ('expected' in read) throw new ArgumentError(`${list}:${i + 1}`, read.expected, line.slice(0, 200));
      const { path, label } = read;
      if (label >= classes)
        throw new ArgumentError(
          `${list}:${i + 1}`,
          `"path label" with a label from 0 to ${classes - 1}`,
          line.slice(0, 200),
        );
      return [{ image: resolve(dirname(list), path), label }];
    });
  if (files.length === 0) throw new ArgumentError('images', 'a list with "path label" lines', list);
  return { matchedBy: 'list', files, ignored: [] };
}

type Labelled = Omit<LabelledFiles, 'ignored'>;

function readClassFolders(
  path: string,
  folders: readonly ClassFolder[],
  { labels, classes }: DatasetOptions,
): Labelled {
  const all = (matchedBy: MatchedBy, labelOf: (name: string, index: number) => number): Labelled => ({
    matchedBy,
    files: folders.flatMap(({ name, files }, i) => {
      const label = labelOf(name, i);
      return files.map((image) => ({ image, label }));
    }),
  });
  for (const [matchedBy, index] of [
    ['synset id', indexSynsets(labels ?? [])],
    ['name', indexNames(labels ?? [])],
  ] as const) {
    const found = folders.filter(({ name }) => index.has(normal(name)));
    if (found.length === 0) continue;
    return all(matchedBy, (name) => {
      const label = index.get(normal(name));
      if (typeof label === 'number') return label;
      throw new ArgumentError(
        'images',
        `folders with the ${matchedBy} of one label each, as "${found[0]!.name}" has`,
        join(path, name),
        label === undefined ? undefined : 'it names several labels',
      );
    });
  }
  if (folders.length === classes) return all('sorted order', (_, i) => i);
  throw new ArgumentError(
    'images',
    `folders named as labels are (give --labels), or exactly ${classes} folders, whose sorted order counts`,
    path,
    `it has ${folders.length}, the first "${folders[0]!.name}"`,
  );
}

function readSynsetFiles(files: readonly string[], { labels }: DatasetOptions): Labelled {
  const index = indexSynsets(labels ?? []);
  return {
    matchedBy: 'synset id',
    files: files.map((image) => {
      const id = /(?:^|[\\/])(n\d{8})[^\\/]*$/.exec(image)?.[1];
      const label = id === undefined ? undefined : index.get(id);
      if (label === undefined || label === null)
        throw new ArgumentError(
          'images',
          'a folder per class, a list, or files that begin with the synset id of a label (n01484850_….JPEG, and --labels synset_words.txt)',
          image,
        );
      return { image, label };
    }),
  };
}

const normal = (name: string): string => name.trim().toLowerCase().replaceAll('_', ' ');

/** Null if several labels match a key. */
type Index = Map<string, number | null>;

function indexSynsets(labels: readonly string[]): Index {
  return indexed(labels, (label) => /^n\d{8}(?=\s|$)/.exec(label) ?? []);
}

function indexNames(labels: readonly string[]): Index {
  return indexed(labels, (label) => {
    const names = label.replace(/^n\d{8}\s+/, '');
    return [names, ...names.split(',')].map(normal);
  });
}

function indexed(labels: readonly string[], keysOf: (label: string) => Iterable<string>): Index {
  const index: Index = new Map();
  labels.forEach((label, i) => {
    for (const key of new Set(keysOf(label))) index.set(key, index.has(key) ? null : i);
  });
  return index;
}
