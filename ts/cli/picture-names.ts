/** Names of the pictures that commands write, by those of their images. */
import { basename, extname } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { checkNewFolder } from '../caffe/model-folder.ts';
import { type ImageSource, STDIN } from './image-files.ts';

/** Files of one name may lie in several folders: their place in the row divides them. */
export const numberedName = (file: string, place: number): string =>
  `${String(place + 1).padStart(5, '0')}-${stemOf(file)}`;

const stemOf = (file: string): string => (file === STDIN ? 'image' : basename(file, extname(file)));

/** Without an ending: the images' own where they differ, else numbered. */
export function pictureNames(sources: readonly ImageSource[]): string[] {
  const stems = sources.map(({ file }) => stemOf(file));
  const differ = new Set(stems.map((stem) => stem.toLowerCase())).size === stems.length;
  return differ ? stems : sources.map(({ file }, i) => numberedName(file, i));
}

/** Makes a folder for pictures. @throws ArgumentError for one that holds files already, or for the name of a picture */
export function makePictureFolder(out: string, isOverwritten: boolean | undefined): void {
  if (/\.(png|jpe?g|webp|gif|bmp|tiff?)$/i.test(out))
    throw new ArgumentError('--out', 'a folder for pictures with the names of their images', out);
  checkNewFolder(out, isOverwritten);
  makeFolder(out);
}
