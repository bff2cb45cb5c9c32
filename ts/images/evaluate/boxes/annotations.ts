/** Reads annotated objects from PASCAL VOC's XML, one file per image, and from COCO's JSON, one file for all. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { DataError } from '../../../base/errors.ts';
import { checkFileSize } from '../../../base/files.ts';
import { isObject, path } from '../../../base/kinds.ts';
import { required, signature } from '../../../base/options.ts';
import { readJsonFile } from '../../../caffe/json.ts';
import { isFolder } from '../../../caffe/model-folder.ts';
import type { AnnotatedImage, TrueObject } from './truth.ts';
import { type Element, parseXml } from './xml.ts';

const MOST_XML_BYTES = 2 ** 22;

const READ_ANNOTATIONS = signature('readAnnotations', {
  path: required(path, "A folder of PASCAL VOC's .xml files, or COCO's .json."),
});

/**
 * The annotated objects of images.
 * @param path A folder of PASCAL VOC's annotations (`000001.xml`), one of them, or a file of COCO's
 * (`instances_val2017.json`).
 * @throws DataError `data/annotations` that names the file, what was found and what was expected
 * @example const images = readAnnotations('VOCdevkit/VOC2007/Annotations');
 */
export function readAnnotations(path: string): AnnotatedImage[] {
  READ_ANNOTATIONS.check(path);
  if (!isFolder(path)) return /\.xml$/i.test(path) ? [vocImage(path)] : cocoImages(path);
  const files = readdirSync(path)
    .filter((name) => /\.xml$/i.test(name))
    .sort();
  if (files.length === 0) throw refusal(path, 'a folder of .xml files, found none in it');
  return files.map((name) => vocImage(join(path, name)));
}

const refusal = (file: string, says: string) =>
  new DataError('data/annotations', { file }, `expected annotations of objects, ${says}`);

/** Corners are pixels of the box, counted from 1. */
function vocImage(file: string): AnnotatedImage {
  const fail = (found: string): never => {
    throw refusal(file, `PASCAL VOC's <annotation> with <object>s: ${found}`);
  };
  checkFileSize(file, MOST_XML_BYTES, 'annotations');
  const root = parseXml(readFileSync(file, 'utf8'), fail);
  if (root.name !== 'annotation') fail(`found <${root.name}>`);
  const named = textOf(root, 'filename');
  const name = named === '' ? basename(file, extname(file)) : basename(named);
  const objects = root.children.filter((child) => child.name === 'object');
  return {
    name,
    objects: objects.map((object, i) => vocObject(object, `object ${i + 1}`, fail)),
    annotations: file,
  };
}

function vocObject(object: Element, where: string, fail: (found: string) => never): TrueObject {
  const label = textOf(object, 'name');
  if (label === '') fail(`${where} has no <name>`);
  const corners = object.children.find(({ name }) => name === 'bndbox') ?? fail(`${where} has no <bndbox>`);
  const side = (name: string): number => {
    const text = textOf(corners, name);
    const value = Number(text);
    return text !== '' && Number.isFinite(value) ? value : fail(`${where} has no number in <${name}>`);
  };
  const [x1, y1, x2, y2] = [side('xmin'), side('ymin'), side('xmax'), side('ymax')];
  if (x2 < x1 || y2 < y1) fail(`${where} ends before it begins`);
  return {
    label,
    box: { x: x1 - 1, y: y1 - 1, width: x2 - x1 + 1, height: y2 - y1 + 1 },
    isDifficult: textOf(object, 'difficult') === '1',
  };
}

const textOf = ({ children }: Element, name: string): string =>
  children.find((child) => child.name === name)?.text.trim() ?? '';

interface CocoFile {
  readonly images: readonly { readonly id: number; readonly file_name: string }[];
  readonly categories: readonly { readonly id: number; readonly name: string }[];
  readonly annotations: readonly {
    readonly image_id: number;
    readonly category_id: number;
    readonly bbox: readonly number[];
    readonly area?: number;
    readonly iscrowd?: number;
  }[];
}

function cocoImages(file: string): AnnotatedImage[] {
  const fail = (found: string): never => {
    throw refusal(file, `COCO's { images, categories, annotations }: ${found}`);
  };
  const json = readJsonFile(file, 'json', (found) => refusal(file, found)) as CocoFile;
  for (const name of ['images', 'categories', 'annotations'] as const)
    if (!isObject(json) || !Array.isArray(json[name]) || !json[name].every(isObject))
      fail(`"${name}" is not a list of objects`);
  const names = new Map(json.categories.map(({ id, name }) => [id, name]));
  const objects = new Map<number, TrueObject[]>();
  const files = new Set<string>();
  for (const [i, { id, file_name: name }] of json.images.entries()) {
    if (typeof name !== 'string' || name === '') fail(`images[${i}] has no file_name`);
    if (objects.has(id)) fail(`images[${i}] has the same id ${id} as another one`);
    if (files.has(name)) fail(`images[${i}] has the same file_name ${name} as another one`);
    files.add(name);
    objects.set(id, []);
  }
  for (const [
    i,
    { image_id: image, category_id: category, bbox, area, iscrowd },
  ] of json.annotations.entries()) {
    const where = `annotations[${i}]`;
    const label = names.get(category);
    if (typeof label !== 'string')
      return fail(`${where} has category_id ${category}, which is not a category`);
    const isBox =
      Array.isArray(bbox) &&
      bbox.length === 4 &&
      bbox.every((value) => Number.isFinite(value)) &&
      bbox[2]! >= 0 &&
      bbox[3]! >= 0;
    if (!isBox) return fail(`${where} has no bbox of x, y, width and height`);
    const [x, y, width, height] = bbox as [number, number, number, number];
    const list = objects.get(image) ?? fail(`${where} has image_id ${image}, which is not an image`);
    list.push({
      label,
      box: { x, y, width, height },
      ...(typeof area === 'number' && area >= 0 ? { area } : {}),
      isCrowd: iscrowd === 1,
    });
  }
  return json.images.map(({ id, file_name: name }) => ({
    name,
    objects: objects.get(id)!,
    annotations: file,
  }));
}
