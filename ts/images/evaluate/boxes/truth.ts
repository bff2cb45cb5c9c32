/** Objects and where they are, as people marked them; and what a detector found. */
import { boolean, list, number, string } from '../../../base/kinds.ts';
import { fields, optional, required } from '../../../base/options.ts';
import { type Box, box } from '../../geometry.ts';

/** An object that is there. */
export interface TrueObject {
  readonly label: string;
  readonly box: Box;
  /** In pixels, of its outline where one was drawn: COCO's sizes go by it. Default: the box's. */
  readonly area?: number;
  /** PASCAL VOC's: it need not be found, and to find it is no mistake. Default false. */
  readonly isDifficult?: boolean;
  /** COCO's: many objects at once; to find parts of it is no mistake. Default false. */
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
  /** Its file's name; of VOC without a folder, and without an ending where its annotation has none. */
  readonly name: string;
  readonly objects: readonly TrueObject[];
  /** The file that says so. */
  readonly annotations?: string;
}

/** An image with what is there and what was found. */
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

/** Of the pixels that one of two boxes has, the share that both have; of a crowd's the share of the found box. */
export function overlapOf(found: Box, truth: Box, isCrowd = false): number {
  const width = Math.min(found.x + found.width, truth.x + truth.width) - Math.max(found.x, truth.x);
  const height = Math.min(found.y + found.height, truth.y + truth.height) - Math.max(found.y, truth.y);
  const shared = width > 0 && height > 0 ? width * height : 0;
  const all = isCrowd ? areaOf(found) : areaOf(found) + areaOf(truth) - shared;
  return all > 0 ? shared / all : 0;
}
