/** The recipe of a result, so that it can be reproduced. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { having, integer, list, oneOf, path, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { ownPackage } from '../../base/own-package.ts';
import type { Device } from '../../device/device.ts';
import { type Preprocess, preprocess } from '../preprocess.ts';

export interface RecipeInput {
  /** The paths of the prototxt and of the weights. */
  readonly model: string;
  readonly weights: string;
  readonly preprocess: Preprocess;
  readonly crops: 1 | 10;
  /** As in EvaluateOptions. Default none. */
  readonly scales?: readonly number[] | undefined;
  readonly batch: number;
  readonly device: Device;
  /** As in LoadOptions. */
  readonly precision: string;
  /** The path of the calibration, for int8. */
  readonly calibration?: string | undefined;
}

export interface EvaluationRecipe {
  readonly versions: {
    readonly resnode: string;
    readonly node: string;
    /** The versions of the decoder: sharp and its libvips. */
    readonly sharp: string;
    readonly libvips: string;
  };
  readonly model: FileHash;
  readonly weights: FileHash;
  readonly resize: Preprocess['resize'];
  /** `bilinear`: as in OpenCV's INTER_LINEAR on uint8; `float`: as in caffe.io's Transformer. */
  readonly interpolation: 'bilinear' | 'float';
  readonly crop: Preprocess['crop'];
  readonly crops: 1 | 10;
  /** The shorter sides at which whole images were run through the fully convolutional net; null for crops. */
  readonly scales: readonly number[] | null;
  /** Values per channel, or the shape of a mean image and the SHA-256 of its float32 values. */
  readonly mean: readonly number[] | { readonly shape: readonly number[]; readonly sha256: string };
  readonly order: 'BGR' | 'RGB';
  readonly scale: number;
  /** Null if there is none. */
  readonly std: readonly number[] | null;
  readonly orientation: 'applied' | 'ignored';
  readonly depth: 8 | 16;
  /** Null: as in the files. */
  readonly window: Preprocess['window'] | null;
  readonly batch: number;
  readonly device: string;
  /** The threads, libraries and instruction set of the device. */
  readonly deviceDescription: Device['description'];
  readonly precision: string;
  /** The calibration for int8, otherwise null. */
  readonly calibration: FileHash | null;
}

export interface FileHash {
  readonly file: string;
  readonly sha256: string;
}

const EVALUATION_RECIPE = signature('evaluationRecipe', {
  input: required(
    options<RecipeInput>({
      model: required(path, 'The path of the prototxt.'),
      weights: required(path, 'The path of the weights.'),
      preprocess: required(preprocess, 'How images are prepared.'),
      crops: required(oneOf<1 | 10>(1, 10), 'The number of views of an image.'),
      scales: optional(
        list(integer(1), { of: 'sides' }),
        'none',
        'The shorter sides of whole images, instead of crops.',
      ),
      batch: required(integer(1), 'The number of images in one run.'),
      device: required(having<Device>('a Device'), 'The device of openDevice.'),
      precision: required(string, 'The precision, as for device.load.'),
      calibration: optional(path, 'none', 'The calibration for int8.'),
    }),
    'What produced the result.',
  ),
});

/** @throws the file system's error */
export async function evaluationRecipe(input: RecipeInput): Promise<EvaluationRecipe> {
  EVALUATION_RECIPE.check(input);
  const { preprocess, crops, scales = null, batch, device, precision } = input;
  const { resize, crop, mean, order = 'BGR', scale = 1 } = preprocess;
  const { std = null, orientation = 'applied', depth = 8, window = null } = preprocess;
  const { default: sharp } = await import('sharp');
  return {
    versions: {
      resnode: ownPackage().version,
      node: process.versions.node,
      sharp: sharp.versions.sharp ?? 'unknown',
      libvips: sharp.versions.vips,
    },
    model: await fileHash(input.model),
    weights: await fileHash(input.weights),
    resize: scales === null ? resize : null,
    interpolation: preprocess.interpolation === 'float' ? 'float' : 'bilinear',
    crop,
    crops,
    scales,
    mean: recordedMean(mean),
    order,
    scale,
    std,
    orientation,
    depth,
    window,
    batch,
    device: device.name,
    deviceDescription: device.description,
    precision,
    calibration: input.calibration === undefined ? null : await fileHash(input.calibration),
  };
}

/** A mean in the form of a recipe. */
export function recordedMean(mean: Preprocess['mean']): EvaluationRecipe['mean'] {
  return 'shape' in mean
    ? { shape: mean.shape, sha256: createHash('sha256').update(mean.data).digest('hex') }
    : mean;
}

/**
 * SHA-256 of a file.
 * @throws the file system's error
 */
export async function fileHash(file: string): Promise<FileHash> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return { file, sha256: hash.digest('hex') };
}
