/** Annotated objects with their boxes, and the objects that a detector found. */
import { boolean, list, number, string } from '../../../base/kinds.ts';
import { fields, optional, required } from '../../../base/options.ts';
import { type Box, box } from '../../geometry.ts';

/** An annotated object. */
export interface TrueObject {
  readonly label: string;
  readonly box: Box;
  /** The area in pixels, of the outline if one was drawn; COCO's sizes depend on it. Default: the area of the box. */
  readonly area?: number;
  /** PASCAL VOC's flag: the object need not be found, and finding it is not a mistake. Default false. */
  readonly isDifficult?: boolean;
  /** COCO's flag: many objects at once; finding parts of them is not a mistake. Default false. */
  readonly isCrowd?: boolean;
}

/** An object that was found, such as a Detection. */
export interface FoundObject {
  readonly label: string;
  readonly score: number;
  readonly box: Box;
}

/** The objects of an image. */
export interface AnnotatedImage {
  /** The name of the image file; for VOC without a folder, and without an extension if the annotation has none. */
  readonly name: string;
  readonly objects: readonly TrueObject[];
  /** The annotation file. */
  readonly annotations?: string;
}

/** An image with its annotated objects and the objects that were found. */
export interface ScoredImage {
  readonly objects: readonly TrueObject[];
  readonly found: readonly FoundObject[];
}

const label = required(string, 'The name of the class.');
const place = required(box, "The box in the image's own pixels.");
const trueObject = fields<TrueObject>('an object, { label, box }', {
  label,
  box: place,
  area: optional(number({ from: 0 }), "the box's", 'The area in pixels.'),
  isDifficult: optional(boolean, 'false', "PASCAL VOC's `difficult`."),
  isCrowd: optional(boolean, 'false', "COCO's `iscrowd`."),
});
export const trueObjects = list(trueObject, { of: 'objects' });
const foundObject = fields<FoundObject>('a detection, { label, score, box }', {
  label,
  score: required(number(), 'The score; higher means more certain.'),
  box: place,
});
export const scoredImages = list(
  fields<ScoredImage>('{ objects, found }', {
    objects: required(trueObjects, 'The true objects.'),
    found: required(list(foundObject, { of: 'detections' }), 'The objects that were found.'),
  }),
  { of: 'images, each { objects, found }' },
);

export const areaOf = ({ width, height }: Box): number => width * height;

/** The intersection over union of two boxes; for a crowd, the intersection over the area of the found box. */
export function overlapOf(found: Box, truth: Box, isCrowd = false): number {
  const width = Math.min(found.x + found.width, truth.x + truth.width) - Math.max(found.x, truth.x);
  const height = Math.min(found.y + found.height, truth.y + truth.height) - Math.max(found.y, truth.y);
  const shared = width > 0 && height > 0 ? width * height : 0;
  const all = isCrowd ? areaOf(found) : areaOf(found) + areaOf(truth) - shared;
  return all > 0 ? shared / all : 0;
}
