/**
 * Augmentation that the training of residual networks uses beyond Caffe's transform_param. So that Caffe can still load the
 * prototxt, these options are given in code or in a JSON file.
 */

import { ArgumentError } from '../base/errors.ts';
import { isObject, type Kind, kind, oneOf, path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { nearest } from '../base/suggest.ts';
import { readJsonFile } from '../caffe/json.ts';
import { type Window, window } from '../images/window.ts';
import {
  type Affine,
  affine,
  type Cutout,
  cutout,
  type Jitter,
  jitter,
  type ResizedCrop,
  resizedCrop,
} from './augmentations.ts';

export interface Augment {
  /**
   * Resizes an image to this shorter side before the crop, keeping its aspect ratio, bilinearly as OpenCV does. From a range
   * of two numbers an integer (both included) is drawn for each image: [256, 480] (He et al. 2015, section 3.4).
   */
  readonly shorterSide?: number | readonly [number, number];
  /**
   * Zeros on all four sides, from which crop_size is then cut: 4 for CIFAR (section 4.2). The zeros are values of the net's
   * input, after the mean is subtracted: the paper pads images with the mean subtracted, fb.resnet.torch normalised ones.
   */
  readonly pad?: number;
  /**
   * Whether the mean image has the crop's size and is subtracted from the crop before mirroring, as with MSRA's
   * ResNet_mean.binaryproto. Otherwise it has the size of the whole image and is subtracted from it, as in Caffe.
   */
  readonly meanOfCrop?: boolean;
  /** Colour augmentation by the principal components of the pixels' colours (Krizhevsky et al. 2012, section 4.1). */
  readonly lighting?: Lighting;
  /** A region of random area and aspect ratio, resized to crop_size, instead of a size and a crop. */
  readonly resizedCrop?: ResizedCrop;
  /** Rotation, shift, scale and shear of the resized image. */
  readonly affine?: Affine;
  /** Brightness, contrast, saturation, hue. */
  readonly jitter?: Jitter;
  /** Squares of zeros in the net's input. */
  readonly cutout?: Cutout;
  /** Whether a decoded image is rotated according to its EXIF orientation. Default `applied`, as in OpenCV. */
  readonly orientation?: 'applied' | 'ignored';
  /** The largest number of pixels of an image that is decoded, 1 to 2^30. Default 2^26. */
  readonly maxPixels?: number;
  /** The centre and width of the values that become black to white, for DICOM images and images of 16 bits. */
  readonly window?: Window;
  /** Reads database records in random order, a new one in each epoch; Caffe does this only for lists (ImageData). */
  readonly shuffle?: boolean;
  /**
   * For image lists: every class occurs equally often in an epoch, and images of rare classes repeat; the number of images
   * stays the same.
   */
  readonly balanced?: boolean;
}

/** A value that checkAugment accepts. */
export const augment: Kind<Augment> = kind(
  'an object with shorterSide, pad, …',
  (value) => isObject(value) && !Array.isArray(value),
);

/** Adds Σ αᵢ·λᵢ·pᵢ to every pixel before the mean is subtracted, with a normal αᵢ drawn once per image. */
export interface Lighting {
  /** The standard deviation of α. Default 0.1. */
  readonly std?: number;
  /** λ, for pixels of 0 to 255. Default ImageNet's, 55.4625, 4.794, 1.1475 (fb.resnet.torch's times 255). */
  readonly eigenvalues?: readonly number[];
  /** Rows R, G, B; a column is a component. Default ImageNet's (fb.resnet.torch, datasets/imagenet.lua). */
  readonly eigenvectors?: readonly (readonly number[])[];
}

export const IMAGENET_LIGHTING: Required<Lighting> = {
  std: 0.1,
  eigenvalues: [55.4625, 4.794, 1.1475],
  eigenvectors: [
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.814],
    [-0.5836, -0.6948, 0.4203],
  ],
};

/**
 * @param name The argument's name in errors.
 * @throws ArgumentError for an unknown field or a wrong value
 */
export function checkAugment(value: unknown, name = 'augment'): Augment {
  const fields = record(value, name, [
    ...['shorterSide', 'pad', 'resizedCrop', 'affine', 'jitter', 'cutout'],
    ...['meanOfCrop', 'lighting', 'orientation', 'maxPixels', 'window', 'shuffle', 'balanced'],
  ]);
  const { shorterSide, pad, meanOfCrop, lighting, orientation, maxPixels, shuffle, balanced } = fields;
  const isSide = (side: unknown) => Number.isInteger(side) && (side as number) >= 1;
  const [low, high, ...rest] = Array.isArray(shorterSide) ? shorterSide : [shorterSide, shorterSide];
  if (shorterSide !== undefined && !(isSide(low) && isSide(high) && low <= high && rest.length === 0))
    throw new ArgumentError(
      `${name}.shorterSide`,
      'a side in pixels, or the smallest and the largest',
      shorterSide,
    );
  if (pad !== undefined && !(Number.isInteger(pad) && (pad as number) >= 0))
    throw new ArgumentError(`${name}.pad`, 'a number of pixels', pad);
  if (orientation !== undefined && orientation !== 'applied' && orientation !== 'ignored')
    throw new ArgumentError(`${name}.orientation`, '"applied" or "ignored"', orientation);
  if (maxPixels !== undefined && !(isSide(maxPixels) && (maxPixels as number) <= 2 ** 30))
    throw new ArgumentError(`${name}.maxPixels`, 'an integer from 1 to 2^30', maxPixels);
  const windowMistake = fields.window === undefined ? null : window.mistake(fields.window);
  if (windowMistake !== null)
    throw new ArgumentError(`${name}.window`, windowMistake.expected, fields.window);
  for (const [field, flag] of Object.entries({ meanOfCrop, shuffle, balanced }))
    if (flag !== undefined && typeof flag !== 'boolean')
      throw new ArgumentError(`${name}.${field}`, 'true or false', flag);
  for (const [field, each] of Object.entries({ resizedCrop, affine, jitter, cutout })) {
    const mistake = fields[field] === undefined ? null : each.mistake(fields[field]);
    if (mistake !== null) {
      const { path: place, expected, actual, hint } = mistake;
      const isUnknown = place.endsWith('{}');
      const at = `${name}.${field}${isUnknown ? place.slice(0, -2) : place}`;
      throw new ArgumentError(isUnknown ? `the fields of ${at}` : at, expected, actual, hint);
    }
  }
  if (fields.resizedCrop !== undefined)
    for (const other of ['shorterSide', 'pad'])
      if (fields[other] !== undefined)
        throw new ArgumentError(
          `${name}.${other}`,
          'none beside resizedCrop, which sets the size',
          fields[other],
        );
  if (lighting !== undefined) checkLighting(lighting, `${name}.lighting`);
  return fields as Augment;
}

function checkLighting(value: unknown, name: string): void {
  const fields = record(value, name, ['std', 'eigenvalues', 'eigenvectors']);
  const { std, eigenvalues, eigenvectors } = { ...IMAGENET_LIGHTING, ...fields } as Required<Lighting>;
  const isTriple = (list: unknown) =>
    Array.isArray(list) && list.length === 3 && list.every((number) => Number.isFinite(number));
  if (!(std >= 0)) throw new ArgumentError(`${name}.std`, 'a standard deviation', std);
  if (!isTriple(eigenvalues)) throw new ArgumentError(`${name}.eigenvalues`, 'three numbers', eigenvalues);
  if (!(Array.isArray(eigenvectors) && eigenvectors.length === 3 && eigenvectors.every(isTriple)))
    throw new ArgumentError(`${name}.eigenvectors`, 'three rows (R, G, B) of three numbers', eigenvectors);
}

const READ_AUGMENT = signature('readAugment', {
  file: required(path, 'The path of a JSON file.'),
  phase: required(oneOf('TRAIN', 'TEST'), 'The phase whose augmentations are returned.'),
});

/**
 * Reads a JSON file with one object per phase: `{ "TRAIN": { "pad": 4 }, "TEST": {} }`.
 * @returns The options for `phase`; none if the file does not contain it.
 * @throws ArgumentError that names the file and the field
 */
export function readAugment(file: string, phase: 'TRAIN' | 'TEST'): Augment {
  READ_AUGMENT.check(file, phase);
  const value = readJsonFile(
    file,
    'json',
    (found) => new ArgumentError('augment', 'a JSON file with TRAIN and TEST', file, found),
  );
  const phases = record(value, file, ['TRAIN', 'TEST']);
  const checked = Object.entries(phases).map(([name, augment]) => [
    name,
    checkAugment(augment, `${file}: ${name}`),
  ]);
  return Object.fromEntries(checked)[phase] ?? {};
}

function record(value: unknown, name: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ArgumentError(name, `an object with ${known.join(', ')}`, value);
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    const hint = near === undefined ? undefined : `did you mean "${near}"?`;
    throw new ArgumentError(name, `only the fields ${known.join(', ')}`, unknown, hint);
  }
  return value as Record<string, unknown>;
}
