/** The images of a command line: files, folders, lists, patterns and standard input. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { NOTHING } from '../base/describe.ts';
import { ArgumentError } from '../base/errors.ts';
import { checkRegularFile } from '../base/files.ts';
import { glob, isGlob } from '../base/glob.ts';
import { isFolder } from '../caffe/model-folder.ts';
import { checkIsList } from '../data/list-lines.ts';
import { imageFormatOf } from '../images/format.ts';
import { listImages } from '../images/list-images.ts';

/** The description of images in --help. */
export const IMAGES =
  'image files, folders, lists of paths (.txt) or quoted patterns; - reads paths or an image from standard input';

/** An image and its name in messages. */
export interface ImageSource {
  readonly file: string;
  readonly source: string | Uint8Array;
}

/** The name of an image from standard input. */
export const STDIN = '-';

/**
 * Resolves the images that words name. Files stand for themselves. A folder stands for the images in it and its subfolders,
 * sorted; other files in it are listed on stderr. A .txt, .lst or .list stands for the paths in its lines, which are
 * relative to it; labels after the paths are ignored. Patterns such as `**` stand for the files that match. `-` stands for
 * one image if standard input begins like an image, and otherwise for a list of paths.
 * @param where The argument or flag, for errors.
 * @throws ArgumentError if there are no images; DataError for an invalid list
 */
export async function imageSources(words: readonly string[], where: string): Promise<ImageSource[]> {
  const parts: (Found & { readonly word: string })[] = [];
  for (const word of words) parts.push({ word, ...(await sourcesOf(word, where)) });
  const found = parts.flatMap(({ images }) => images);
  if (found.length > 0) {
    for (const { word, ignored } of parts) sayIgnored(word, ignored);
    return found;
  }
  const otherFiles = parts.flatMap(({ ignored }) => ignored);
  throw new ArgumentError(
    where,
    'image files, or folders and lists with images',
    words.join(', '),
    otherFiles.length === 0
      ? undefined
      : `its ${otherFiles.length} files have names that no image has (${otherFiles.slice(0, 3).join(', ')})`,
  );
}

/**
 * The same for exactly one image.
 * @throws ArgumentError
 */
export async function imageSource(word: string, where: string): Promise<ImageSource> {
  const [first, ...others] = await imageSources([word], where);
  if (others.length === 0) return first!;
  throw new ArgumentError(where, 'one image', word, `it holds ${others.length + 1}`);
}

/**
 * The same for paths only.
 * @throws ArgumentError also for an image from standard input
 */
export async function imageFiles(words: readonly string[], where: string): Promise<string[]> {
  return (await imageSources(words, where)).map(({ source }) => {
    if (typeof source === 'string') return source;
    throw new ArgumentError(where, 'paths from standard input (-)', 'the bytes of an image');
  });
}

interface Found {
  readonly images: readonly ImageSource[];
  readonly ignored: readonly string[];
}

const NONE: readonly string[] = [];
const sourceOf = (path: string): ImageSource => ({ file: path, source: path });

async function sourcesOf(word: string, where: string): Promise<Found> {
  if (word === STDIN) return { images: await standardInput(where), ignored: NONE };
  if (isFolder(word)) {
    const { files, ignored } = listImages(word);
    return { images: files.map(sourceOf), ignored };
  }
  if (/\.(txt|lst|list)$/i.test(word)) return { images: listed(word).map(sourceOf), ignored: NONE };
  if (existsSync(word) || !isGlob(word)) return { images: [sourceOf(word)], ignored: NONE };
  const matched = glob(word);
  if (matched.length === 0) throw new ArgumentError(where, 'a pattern that matches a file', word);
  const parts = [];
  for (const path of matched) parts.push(await sourcesOf(path, where));
  return { images: parts.flatMap(({ images }) => images), ignored: parts.flatMap(({ ignored }) => ignored) };
}

async function standardInput(where: string): Promise<ImageSource[]> {
  const bytes = await buffer(process.stdin);
  if (bytes.length === 0)
    throw new ArgumentError(where, 'paths or an image from standard input (-)', NOTHING);
  if (imageFormatOf(bytes) !== null) return [{ file: STDIN, source: bytes }];
  return linesOf(bytes, STDIN).map(sourceOf);
}

function listed(path: string): string[] {
  checkRegularFile(path);
  return linesOf(readFileSync(path), path).map((line) => resolve(dirname(path), line));
}

/** @throws DataError if the bytes are not a list */
function linesOf(bytes: Uint8Array, file: string): string[] {
  checkIsList(bytes, file);
  return Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trim().replace(/\s+-?\d+$/, ''))
    .filter((line) => line !== '');
}

/** Lists on stderr the files of a folder that are skipped. */
export function sayIgnored(folder: string, ignored: readonly string[]): void {
  if (ignored.length === 0) return;
  const some = ignored.slice(0, 8).join(', ');
  const files = ignored.length === 1 ? '1 file' : `${ignored.length} files`;
  console.error(
    `resnode: ${folder}: skipped ${files} (hidden, or without an image's extension): ${some}${ignored.length > 8 ? ', …' : ''}`,
  );
}
