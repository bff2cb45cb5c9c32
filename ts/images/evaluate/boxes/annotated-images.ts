/**
 * Annotated images in the form of SSD's create_annoset: the files, and their objects with the class numbers of a label map.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DataError } from '../../../base/errors.ts';
import { checkFileSize, MAX_LABELS_BYTES } from '../../../base/files.ts';
import { didYouMean, isObject, path } from '../../../base/kinds.ts';
import { optional, options, required, signature } from '../../../base/options.ts';
import { readJsonFile } from '../../../caffe/json.ts';
import { isFolder } from '../../../caffe/model-folder.ts';
import type { ImageWithObjects, NumberedObject } from '../../../data/convert-annotated.ts';
import { IMAGE_FILE } from '../../format.ts';
import { readLabelNumbers } from '../../labels.ts';
import { readAnnotations } from './annotations.ts';
import type { AnnotatedImage } from './truth.ts';

export interface AnnotatedImagesOptions {
  /**
   * Where the images are. Default: the folder of a list; for PASCAL VOC's annotations the JPEGImages folder beside theirs if
   * it exists, otherwise their folder; for COCO's file its folder.
   */
  readonly root?: string;
}

const READ_ANNOTATED_IMAGES = signature('readAnnotatedImages', {
  path: required(
    path,
    "A folder of PASCAL VOC's .xml files, COCO's .json, or a list with one `image annotation` per line.",
  ),
  labels: required(path, "SSD's label map, or class names, one per line, beginning with the background."),
  options: optional(
    options<AnnotatedImagesOptions>({
      root: optional(path, 'as the annotations say', 'The folder of the images.'),
    }),
    'none',
    'Where the images are.',
  ),
});

/**
 * Image files with their objects, numbered by a label map, for `convertAnnotatedImages`.
 * @param path A folder of PASCAL VOC's annotations or one of them, COCO's file, or a list of `image annotation` lines, in
 * which an annotation is one image's .xml (VOC), .json (COCO's annotations of one image, as SSD's split_annotation.py writes
 * them) or .txt (`label xmin ymin xmax ymax` lines).
 * @param labels SSD's label map (`labelmap_voc.prototxt`), in which objects are looked up by name and by display_name; or a
 * file of names, one per line, beginning with the background.
 * @throws DataError `data/annotations` that names the file, what was found and what was expected
 */
export function readAnnotatedImages(
  path: string,
  labels: string,
  options: AnnotatedImagesOptions = {},
): ImageWithObjects[] {
  READ_ANNOTATED_IMAGES.check(path, labels, options);
  const numbers = readLabelNumbers(labels);
  const numberOf = (name: string, file: string): number => {
    const number = numbers.get(name);
    if (number === undefined)
      throw refusal(
        file,
        `an object's class "${name}", which ${labels} lacks${didYouMean(name, [...numbers.keys()]) ?? ''}`,
      );
    if (number === 0)
      throw refusal(file, `an object of class "${name}", which ${labels} has as 0, the background`);
    return number;
  };
  if (!isFolder(path) && !/\.(xml|json)$/i.test(path)) return listed(path, options.root, numberOf);
  const isVoc = isFolder(path) || /\.xml$/i.test(path);
  const root = options.root ?? defaultRoot(path, isVoc);
  return readAnnotations(path).map((image) => {
    const name = isVoc ? fileOf(image.name, root) : image.name;
    return { path: join(root, name), name, objects: objectsOf(image, path, isVoc, numberOf) };
  });
}

type NumberOf = (name: string, file: string) => number;

const refusal = (file: string, found: string) =>
  new DataError('data/annotations', { file }, `expected objects of known classes, found ${found}`);

function defaultRoot(path: string, isVoc: boolean): string {
  const folder = isFolder(path) ? path : dirname(path);
  const images = join(dirname(resolve(folder)), 'JPEGImages');
  return isVoc && existsSync(images) ? images : folder;
}

/** The image of an annotation that names it without an extension. */
function fileOf(name: string, root: string): string {
  if (IMAGE_FILE.test(name)) return name;
  return (
    ['.jpg', '.jpeg', '.png'].map((ending) => name + ending).find((file) => existsSync(join(root, file))) ??
    `${name}.jpg`
  );
}

/** SSD divides VOC's corners as written, counted from 1. */
function objectsOf(
  { objects }: AnnotatedImage,
  file: string,
  isVoc: boolean,
  numberOf: NumberOf,
): NumberedObject[] {
  const first = isVoc ? 1 : 0;
  return objects.map(({ label, box: { x, y, width, height }, isDifficult, isCrowd }) => ({
    label: numberOf(label, file),
    xmin: x + first,
    ymin: y + first,
    xmax: x + width,
    ymax: y + height,
    difficult: isDifficult === true || isCrowd === true,
  }));
}

/** Lines of two paths, as in create_annoset's listfile. */
function listed(file: string, given: string | undefined, numberOf: NumberOf): ImageWithObjects[] {
  const root = given ?? dirname(file);
  checkFileSize(file, MAX_LABELS_BYTES, 'lists');
  const images = readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .flatMap((line, i): ImageWithObjects[] => {
      if (line.trim() === '') return [];
      const [image, annotation, ...more] = line.trim().split(/\s+/);
      if (annotation === undefined || more.length > 0)
        throw new DataError(
          'data/annotations',
          { file: `${file}:${i + 1}` },
          `expected "image annotation", two paths without spaces; found "${line.trim().slice(0, 200)}"`,
        );
      const objects = annotated(join(root, annotation), numberOf);
      return [{ path: join(root, image!), name: image!, objects }];
    });
  if (images.length === 0)
    throw new DataError('data/annotations', { file }, 'the list is empty; expected "image annotation" lines');
  return images;
}

function annotated(file: string, numberOf: NumberOf): NumberedObject[] {
  if (!existsSync(file)) throw new DataError('data/not-found', { file }, 'the annotation does not exist');
  if (/\.xml$/i.test(file)) return objectsOf(readAnnotations(file)[0]!, file, true, numberOf);
  return /\.json$/i.test(file) ? ofOneImage(file, numberOf) : ofText(file);
}

/** ReadJSONToAnnotatedDatum: COCO's annotations of one image, in which a category's number is its name. */
function ofOneImage(file: string, numberOf: NumberOf): NumberedObject[] {
  const fail = (found: string) =>
    new DataError(
      'data/annotations',
      { file },
      `expected { image, annotation: [{ category_id, bbox }] } of one image: ${found}`,
    );
  const json = readJsonFile(file, 'json', fail) as { annotation?: unknown };
  const list = isObject(json) ? json.annotation : undefined;
  if (!Array.isArray(list)) throw fail('"annotation" is not a list');
  return list.map((each: { category_id?: unknown; bbox?: unknown; iscrowd?: unknown }, i) => {
    const { category_id: category, bbox, iscrowd } = isObject(each) ? each : {};
    const isBox = Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite);
    if (!isBox || bbox[2] < 0 || bbox[3] < 0)
      throw fail(`annotation[${i}] has no bbox of x, y, width and height`);
    const [x, y, width, height] = bbox as [number, number, number, number];
    const box = { xmin: x, ymin: y, xmax: x + width, ymax: y + height };
    return { label: numberOf(String(category), file), ...box, difficult: iscrowd === 1 };
  });
}

/** ReadTxtToAnnotatedDatum: `label xmin ymin xmax ymax`. */
function ofText(file: string): NumberedObject[] {
  checkFileSize(file, MAX_LABELS_BYTES, 'annotations');
  return readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .flatMap((line, i): NumberedObject[] => {
      if (line.trim() === '') return [];
      const values = line.trim().split(/\s+/).map(Number);
      const [label, xmin, ymin, xmax, ymax] = values as [number, number, number, number, number];
      const isObject = values.length === 5 && values.every(Number.isFinite) && xmax >= xmin && ymax >= ymin;
      if (!isObject || !Number.isInteger(label) || label < 1)
        throw new DataError(
          'data/annotations',
          { file: `${file}:${i + 1}` },
          `expected "label xmin ymin xmax ymax" with a class of at least 1; found "${line.trim().slice(0, 100)}"`,
        );
      return [{ label, xmin, ymin, xmax, ymax }];
    });
}
