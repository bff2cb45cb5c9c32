/** Splits folders of images, one for each class, into images for training and for evaluation. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { InWords } from '../../base/describe.ts';
import { ArgumentError } from '../../base/errors.ts';
import { mix, shuffled } from '../../base/random.ts';
import { type LabelList, readLabelList } from '../../data/label-list.ts';
import { type ClassFolder, type ClassFolders, listClassFolders } from '../../images/evaluate/dataset.ts';

export interface LabelledImage {
  readonly image: string;
  /** The index of its class; the first of several, −1 if there is none. */
  readonly label: number;
  /** All its labels, if images may have several. */
  readonly labels?: readonly number[];
}

export interface Split {
  /** The names of the folders, sorted. */
  readonly classes: readonly string[];
  readonly train: readonly LabelledImage[];
  readonly val: readonly LabelledImage[];
  /**
   * `folders` and `lists`: the split is that of `train/` and `val/`, or of `train.txt` and `val.txt`; `drawn`: it was
   * drawn at random.
   */
  readonly from: 'folders' | 'lists' | 'drawn';
  /** Whether images have any number of labels, because the split is of a list. Default false. */
  readonly several?: boolean;
  /** Ignored entries of the folders: hidden files, names that are not of images, and folders without images. */
  readonly ignored: readonly string[];
}

export interface SplitOptions {
  /** The share of each class's images to hold out, above 0 and below 1. Default 0.2. Not for train/ and val/. */
  readonly valShare?: number;
  /** The seed of the random split: the same seed and files give the same split. Default 1. */
  readonly seed?: number;
  /** Images to omit. Default none. */
  readonly broken?: ReadonlySet<string>;
}

/**
 * Reads `folder/<class>/…`, or `folder/train/<class>/…` with `folder/val/<class>/…`.
 * @throws ArgumentError for fewer than two classes, a class with fewer than two images, or classes of val that are not
 * in train; the file system's error
 */
export async function splitClassFolders(folder: string, options: SplitOptions = {}): Promise<Split> {
  const { valShare = 0.2, seed = 1, broken = new Set<string>() } = options;
  if (!(valShare > 0 && valShare < 1))
    throw new ArgumentError('valShare', 'a number above 0 and below 1', valShare);
  const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder(folder))
    throw new ArgumentError('images', 'a folder with a folder of images for each class', folder);
  const [trainFolder, valFolder] = [join(folder, 'train'), join(folder, 'val')];
  if (isFolder(trainFolder) && isFolder(valFolder)) return givenSplit(trainFolder, valFolder, broken);
  const { folders, ignored } = wholeFolders(folder, broken);
  checkClasses(folders, folder);
  const train: LabelledImage[] = [];
  const val: LabelledImage[] = [];
  for (const [label, { name, files }] of folders.entries()) {
    if (files.length < 2)
      throw new ArgumentError(
        'images',
        'two images of each class, for training and validation (add some, or remove the folder)',
        join(folder, name),
        'it has one',
      );
    const count = Math.min(files.length - 1, Math.max(1, Math.round(valShare * files.length)));
    const drawn = new Set((await shuffled(files.length, mix(seed, label))).subarray(0, count));
    files.forEach((image, i) => {
      (drawn.has(i) ? val : train).push({ image, label });
    });
  }
  return { classes: folders.map(({ name }) => name), train, val, from: 'drawn', ignored };
}

export interface ListSplitOptions extends SplitOptions {
  /** The names of the classes. Default `class 0`, `class 1`, … */
  readonly labels?: readonly string[];
}

/**
 * Reads a list of images with several labels (`readLabelList`) and holds out a random share of it; or reads `train.txt`
 * and `val.txt` of a folder.
 * @throws ArgumentError for a list with one label per image, fewer than two classes or images, or another number of
 * names
 */
export async function splitLabelLists(path: string, options: ListSplitOptions = {}): Promise<Split> {
  const { valShare = 0.2, seed = 1, broken = new Set<string>(), labels } = options;
  if (!(valShare > 0 && valShare < 1))
    throw new ArgumentError('valShare', 'a number above 0 and below 1', valShare);
  const given = labels === undefined ? {} : { classes: labels.length };
  const isFolder = statSync(path).isDirectory();
  const list = readLabelList(isFolder ? join(path, 'train.txt') : path, given);
  const { classes: count } = list;
  if (count < 2) throw new ArgumentError('images', 'labels of at least two classes', path);
  const classes = labels ?? Array.from({ length: count }, (_, label) => `class ${label}`);
  const whole = ({ images }: LabelList): LabelledImage[] =>
    images
      .filter(({ image }) => !broken.has(image))
      .map(({ image, labels: own }) => ({ image, label: own[0] ?? -1, labels: own }));
  const images = whole(list);
  const made = { classes, several: true, ignored: [] };
  if (isFolder) {
    const val = whole(readLabelList(join(path, 'val.txt'), { classes: count }));
    return { ...made, train: images, val, from: 'lists' };
  }
  if (images.length < 2) throw new ArgumentError('images', 'two images, for training and validation', path);
  const kept = Math.min(images.length - 1, Math.max(1, Math.round(valShare * images.length)));
  const drawn = new Set((await shuffled(images.length, mix(seed, 0))).subarray(0, kept));
  return {
    ...made,
    train: images.filter((_, i) => !drawn.has(i)),
    val: images.filter((_, i) => drawn.has(i)),
    from: 'drawn',
  };
}

/** The images that are not broken. */
function wholeFolders(path: string, broken: ReadonlySet<string>): ClassFolders {
  const { folders, ignored } = listClassFolders(path);
  const lost = folders.find(({ files }) => files.every((file) => broken.has(file)));
  if (lost !== undefined)
    throw new ArgumentError(
      'images',
      'a readable image in the folder of each class (add one, or remove the folder)',
      join(path, lost.name),
      `its ${lost.files.length} images cannot be read`,
    );
  const whole = folders.map(({ name, files }) => ({
    name,
    files: files.filter((file) => !broken.has(file)),
  }));
  return { folders: whole, ignored };
}

function givenSplit(trainFolder: string, valFolder: string, broken: ReadonlySet<string>): Split {
  const [training, heldOut] = [wholeFolders(trainFolder, broken), wholeFolders(valFolder, broken)];
  const [trainFolders, valFolders] = [training.folders, heldOut.folders];
  checkClasses(trainFolders, trainFolder);
  const classes = trainFolders.map(({ name }) => name);
  const stray = valFolders.find(({ name }) => !classes.includes(name));
  if (stray !== undefined || valFolders.length === 0)
    throw new ArgumentError(
      'images',
      `the classes of ${trainFolder} (${classes.slice(0, 8).join(', ')}) in ${valFolder}`,
      stray?.name ?? new InWords('no folder with images'),
    );
  const labelled = (folders: readonly ClassFolder[]) =>
    folders.flatMap(({ name, files }) => files.map((image) => ({ image, label: classes.indexOf(name) })));
  return {
    classes,
    train: labelled(trainFolders),
    val: labelled(valFolders),
    from: 'folders',
    ignored: [
      ...training.ignored.map((name) => join('train', name)),
      ...heldOut.ignored.map((name) => join('val', name)),
    ],
  };
}

function checkClasses(folders: readonly ClassFolder[], path: string): void {
  if (folders.length < 2)
    throw new ArgumentError(
      'images',
      'at least two folders with images, one per class',
      path,
      `it has ${folders.length === 0 ? 'none' : `only ${folders[0]!.name}`}`,
    );
}
