/** Names the pictures that commands write after their images. */
import { basename, extname } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { checkNewFolder } from '../caffe/model-folder.ts';
import { type ImageSource, STDIN } from './image-files.ts';

/** Files in different folders may have the same name; their position in the list distinguishes them. */
export const numberedName = (file: string, place: number): string =>
  `${String(place + 1).padStart(5, '0')}-${stemOf(file)}`;

const stemOf = (file: string): string => (file === STDIN ? 'image' : basename(file, extname(file)));

/** Names without extensions: those of the images if they differ, numbered ones otherwise. */
export function pictureNames(sources: readonly ImageSource[]): string[] {
  const stems = sources.map(({ file }) => stemOf(file));
  const differ = new Set(stems.map((stem) => stem.toLowerCase())).size === stems.length;
  return differ ? stems : sources.map(({ file }, i) => numberedName(file, i));
}

/**
 * Creates a folder for pictures.
 * @throws ArgumentError if it already contains files, or if the path is that of a picture
 */
export function makePictureFolder(out: string, isOverwritten: boolean | undefined): void {
  if (/\.(png|jpe?g|webp|gif|bmp|tiff?)$/i.test(out))
    throw new ArgumentError('--out', 'a folder for pictures with the names of their images', out);
  checkNewFolder(out, isOverwritten);
  makeFolder(out);
}
