/**
 * Writes images with boxes to an LMDB of AnnotatedDatums, as convert_annoset of SSD's fork does (weiliu89/caffe, branch
 * ssd).
 */
import { boolean, integer, list, number, path, string } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import { warn } from '../base/warn.ts';
import { type Annotation, writeAnnotatedDatum } from './annotated-datum.ts';
import { type ConvertImagesOptions, imageRows, type Sides, writeImages } from './image-records.ts';

/** An object in an image: its corners are in pixels of the file's size, by which they are divided. */
export interface NumberedObject {
  /** The class, from 1; 0 is the background. */
  readonly label: number;
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
  /** Default false. */
  readonly difficult?: boolean;
}

/** An image file and its objects, possibly none. A record's key ends with `name`. */
export interface ImageWithObjects {
  readonly path: string;
  readonly name: string;
  readonly objects: readonly NumberedObject[];
}

/** ReadRichImageToAnnotatedDatum does not give the Datum a class. */
const NO_LABEL = -1;

const pixels = required(number(), 'A coordinate in pixels.');
const CONVERT_ANNOTATED_IMAGES = signature('convertAnnotatedImages', {
  images: required(
    list(
      fields<ImageWithObjects>('an image, { path, name, objects }', {
        path: required(path, 'The path of the image.'),
        name: required(string, 'The name of the record.'),
        objects: required(
          list(
            fields<NumberedObject>('an object, { label, xmin, ymin, xmax, ymax }', {
              label: required(integer(1), 'The class of the object.'),
              ...{ xmin: pixels, ymin: pixels, xmax: pixels, ymax: pixels },
              difficult: optional(boolean, 'false', 'Whether the object is hard to see.'),
            }),
            { of: 'objects' },
          ),
          'The objects in the image.',
        ),
      }),
      { of: 'images' },
    ),
    'The images, by path.',
  ),
  output: required(path, 'The folder of the database.'),
  options: optional(options<ConvertImagesOptions>(imageRows), 'none', 'How to store the images.'),
});

/**
 * Writes images from files with their boxes, for an AnnotatedData layer.
 * @param output The folder to create.
 * @param options As for `convertImages`; `resize` does not change boxes, because they are shares of the image.
 * @returns The number of records written.
 * @throws DataError, ImageError that names the file; ResnodeError `file/write`; after an error nothing is left behind
 * @example
 * const images = readAnnotatedImages('VOC2007/Annotations', 'labelmap_voc.prototxt');
 * await convertAnnotatedImages(images, 'trainval.lmdb', { encoded: true, shuffle: 1 });
 */
export async function convertAnnotatedImages(
  images: readonly ImageWithObjects[],
  output: string,
  options: ConvertImagesOptions = {},
): Promise<number> {
  CONVERT_ANNOTATED_IMAGES.check(images, output, options);
  let [beyond, first] = [0, ''];
  const count = await writeImages(
    images,
    output,
    options,
    () => NO_LABEL,
    (datum, { path: file, objects }, sides) => {
      const outside = objects.filter((object) => isBeyond(object, sides));
      if (beyond === 0 && outside.length > 0) first = file;
      beyond += outside.length;
      return writeAnnotatedDatum(datum, annotationsOf(objects, sides));
    },
  );
  if (beyond > 0)
    warn(
      'data/boxes-beyond',
      `${beyond} ${beyond === 1 ? 'box reaches' : 'boxes reach'} beyond the image, the first in ${first}; written unchanged, as SSD's convert_annoset does`,
    );
  return count;
}

const isBeyond = ({ xmin, ymin, xmax, ymax }: NumberedObject, { width, height }: Sides): boolean =>
  xmin < 0 || ymin < 0 || xmax > width || ymax > height;

/** ReadXMLToAnnotatedDatum: the objects of each class in an image are counted from 0. */
function annotationsOf(objects: readonly NumberedObject[], { width, height }: Sides): Annotation[] {
  const instances = new Map<number, number>();
  return objects.map(({ label, xmin, ymin, xmax, ymax, difficult = false }) => {
    const instance = instances.get(label) ?? 0;
    instances.set(label, instance + 1);
    const box = { xmin: xmin / width, ymin: ymin / height, xmax: xmax / width, ymax: ymax / height };
    return { label, instance, difficult, ...box };
  });
}
