/** Converts pixels to a net's input, according to settings that can be stored beside a model (preprocess-file.ts). */

import { InWords } from '../base/describe.ts';
import { ArgumentError, ImageError } from '../base/errors.ts';
import { either, instance, integer, type Kind, list, number, oneOf } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import type { NativePreparation } from '../native/binding.ts';
import { loadBinding } from '../native/load.ts';
import { type DecodeOptions, decodeImage } from './decode.ts';
import { centreCrop, exactSize, type Resize, resize, resizedSize, type Size } from './geometry.ts';
import { anyImage, type DeepImage, type Image } from './image.ts';
import { type Window, window } from './window.ts';

/** The largest number of pixels of a resized image. */
const MAX_RESIZED_PIXELS = 2 ** 27;

/** C×H×W, row-major. */
export interface MeanImage {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** docs/preprocess.md describes the same settings as a file. */
export interface Preprocess {
  /** Applied before the crop; null: images keep their size. */
  readonly resize: Resize;
  /**
   * `bytes`: bilinear, exactly as OpenCV's INTER_LINEAR on uint8. `float`: bilinear without rounding, as in caffe.io's
   * Transformer, with scikit-image's weights for grey. Default `bytes`.
   */
  readonly interpolation?: 'bytes' | 'float';
  /** Cut from the centre of the resized image. */
  readonly crop: Size;
  /**
   * The mean that is subtracted: one value per channel (or one for all; [0]: nothing), or a mean image, whose centre is
   * used. It is in `order`, for pixels from 0 to 255.
   */
  readonly mean: readonly number[] | MeanImage;
  /** The order of the channels. Default BGR, in which OpenCV gives them to Caffe. */
  readonly order?: 'BGR' | 'RGB';
  /** The factor that is applied after the mean is subtracted (Caffe's transform_param.scale). Default 1. */
  readonly scale?: number;
  /** The divisor after the mean is subtracted: one value per channel or one for all, in `order`. Default none. */
  readonly std?: readonly number[];
  /** As in DecodeOptions, for image files. Default `applied`. */
  readonly orientation?: 'applied' | 'ignored';
  /** As in DecodeOptions; 16 needs interpolation `float`: samples then have fractional values from 0 to 255. Default 8. */
  readonly depth?: 8 | 16;
  /** As in DecodeOptions: the centre and width of the values that become black to white, for DICOM and images of 16 bits. */
  readonly window?: Window;
}

/**
 * How a net's images are prepared: its mean, and settings that differ from the defaults. The crop is the net's input size.
 */
export type TunedPreprocess = Pick<Preprocess, 'mean'> & Partial<Omit<Preprocess, 'crop'>>;

export const meanImage: Kind<MeanImage> = fields<MeanImage>('a mean image, { shape, data }', {
  shape: required(list(integer(1), { of: 'positive integers', atLeast: 3 }), 'The shape, C×H×W.'),
  data: required(instance('a Float32Array', Float32Array), 'The values, row-major.'),
});

const mean: Kind<Preprocess['mean']> = either(list(number(), { of: 'numbers', atLeast: 1 }), meanImage);

const meanRow = required(
  mean,
  'The mean that is subtracted from pixels of 0 to 255: one value per channel, one for all, or a mean image.',
);

/** Rows with defaults. */
const optionalRows = {
  order: optional(oneOf('BGR', 'RGB'), 'BGR', 'The order of the channels, also in the mean and std.'),
  scale: optional(number({ not: 0 }), '1', 'The factor that is applied after the mean is subtracted.'),
  std: optional(
    list(number({ above: 0 }), { of: 'numbers above 0', atLeast: 1 }),
    'none',
    'The divisor that is applied after the mean is subtracted: one value per channel, or one for all.',
  ),
  interpolation: optional(
    oneOf('bytes', 'float'),
    'bytes',
    "How images are resized: in bytes, as OpenCV does, or in floats, as caffe.io's Transformer does.",
  ),
  orientation: optional(
    oneOf('applied', 'ignored'),
    'applied',
    'Whether images are rotated as their EXIF orientation says.',
  ),
  depth: optional(
    oneOf(8, 16),
    '8',
    'The bits per channel that are kept of 16-bit image files; 16 needs interpolation float.',
  ),
  window: optional(
    window,
    "a DICOM file's own; all values of other 16-bit files",
    'The centre and width of the values that become black to white, for DICOM and 16-bit image files.',
  ),
};

/** Rows of all settings except the size. */
export const preprocessRows = { mean: meanRow, ...optionalRows };

/** The preparation of an image for a net. */
export const preprocess = options<Preprocess>({
  resize: required(resize, 'The size that images are resized to, bilinearly; null: images keep their size.'),
  crop: required(exactSize, 'The size that is cropped from the centre of the resized image.'),
  ...preprocessRows,
});

/** The same for a net whose input size is the crop. */
export const tunedPreprocess = options<TunedPreprocess>({
  resize: optional(
    resize,
    "a shorter side of 256/224 of the net's input",
    'The size that images are resized to, bilinearly; null: images keep their size.',
  ),
  ...preprocessRows,
});

/** The corner of a crop in the resized image. */
export interface Corner {
  readonly left: number;
  readonly top: number;
}

const MSRA_PREPROCESS = signature('msraPreprocess', { mean: required(mean, 'The mean that is subtracted.') });

/**
 * MSRA's preprocessing for ResNet-50/101/152: BGR 0–255, shorter side 256, centre crop 224, minus the mean.
 * @example const preprocess = msraPreprocess([103.063, 115.903, 123.152]);
 */
export function msraPreprocess(mean: Preprocess['mean']): Preprocess {
  MSRA_PREPROCESS.check(mean);
  return { resize: { shorterSide: 256 }, crop: { width: 224, height: 224 }, mean };
}

const PREPROCESS_IMAGE = signature('preprocessImage', {
  image: required(anyImage, 'A decoded image.'),
  preprocess: required(preprocess, 'How the image is prepared.'),
  channels: required(oneOf(1, 3), 'The number of channels that the net takes.'),
  corner: optional(
    options<Corner>({
      left: required(integer(0), 'The column in pixels.'),
      top: required(integer(0), 'The row in pixels.'),
    }),
    'centred',
    'The top left corner of the crop.',
  ),
});

/**
 * Prepares one image as channels × crop height × crop width float32, off the event loop.
 * @param channels The number of channels of the net: 3, or 1 for grey (ITU-R BT.601).
 * @param corner The left and top of the crop in the resized image. Default: centred.
 * @throws ImageError if the crop is larger than the image, or the resized image has more than 2^27 pixels; ArgumentError if
 * the mean does not fit
 * @example const pixels = await preprocessImage(await decodeImage('cat.jpg'), msraPreprocess([103, 116, 123]), 3);
 */
export async function preprocessImage(
  image: Image | DeepImage,
  preprocess: Preprocess,
  channels: 1 | 3,
  corner?: Corner,
): Promise<Float32Array> {
  PREPROCESS_IMAGE.check(image, preprocess, channels, corner);
  const native = { ...preparationOf(image, preprocess, channels, corner), asBytes: false as const };
  return loadBinding().binding.prepareImage(image.data, native);
}

/**
 * The same before mean and scale, for a preprocessing for which `bytesOf` is not null.
 * @throws as preprocessImage
 */
export async function preprocessBytes(
  image: Image | DeepImage,
  preprocess: Preprocess,
  channels: 1 | 3,
  corner?: Corner,
): Promise<Uint8Array> {
  const native = { ...preparationOf(image, preprocess, channels, corner), asBytes: true as const };
  return loadBinding().binding.prepareImage(image.data as Uint8Array, native);
}

/**
 * The mean and scale of each channel that the device applies to `preprocessBytes`. Null if bytes cannot give the same
 * result: for a mean image, which is mirrored together with the crop from which it is subtracted, and for images that are
 * resized in floats.
 */
export function bytesOf(
  preprocess: Preprocess,
  channels: 1 | 3,
): { readonly mean: readonly number[]; readonly scale: readonly number[] } | null {
  const { mean, crop, interpolation = 'bytes' } = preprocess;
  if ('shape' in mean || interpolation === 'float') return null;
  return {
    mean: Array.from(meanValues(mean, channels, crop)),
    scale: Array.from(scaleValues(preprocess, channels)),
  };
}

function preparationOf(
  image: Image | DeepImage,
  preprocess: Preprocess,
  channels: 1 | 3,
  corner: Corner | undefined,
): Omit<NativePreparation, 'asBytes'> {
  const { crop, order = 'BGR', interpolation = 'bytes' } = preprocess;
  if (image.data instanceof Uint16Array && interpolation !== 'float')
    throw new ArgumentError(
      'interpolation',
      '"float", which images of 16 bits require (--interpolation float)',
      interpolation,
    );
  const { width, height } = resizedSize(image, preprocess.resize);
  const { file } = image;
  if (width * height > MAX_RESIZED_PIXELS)
    throw new ImageError(
      'image/too-large',
      file,
      `is ${image.width}×${image.height} and would be resized to ${width}×${height}; at most 2^27 pixels are accepted`,
    );
  const { left, top } = corner ?? centreCrop({ width, height }, crop);
  if (crop.width > width || crop.height > height)
    throw new ImageError(
      'image/too-small',
      file,
      `is ${width}×${height}${preprocess.resize === null ? '' : ' when resized'}, smaller than the crop ${crop.width}×${crop.height}; resize it to at least that (resize; --resize, --shorter-side)`,
    );
  const mean = meanValues(preprocess.mean, channels, crop);
  return {
    width: image.width,
    height: image.height,
    channels: image.channels,
    resizedWidth: width,
    resizedHeight: height,
    left,
    top,
    cropWidth: crop.width,
    cropHeight: crop.height,
    outputChannels: channels,
    bgr: order === 'BGR',
    float: interpolation === 'float',
    scale: scaleValues(preprocess, channels),
    mean,
  };
}

/**
 * Prepares one image file, or the bytes of one, as `preprocessImage` does.
 * @throws the errors of decodeImage and preprocessImage
 */
export async function preprocessFile(
  source: string | Uint8Array,
  preprocess: Preprocess,
  channels: 1 | 3,
  options: DecodeOptions = {},
): Promise<Float32Array> {
  return preprocessImage(await decodeImage(source, decodingOf(preprocess, options)), preprocess, channels);
}

/** The options for decoding image files for a preprocessing. */
export function decodingOf(
  { orientation, depth, window }: Pick<Preprocess, 'orientation' | 'depth' | 'window'>,
  options: DecodeOptions = {},
): DecodeOptions {
  return {
    ...options,
    ...(orientation === undefined ? {} : { orientation }),
    ...(depth === undefined ? {} : { depth }),
    ...(window === undefined ? {} : { window }),
  };
}

function scaleValues({ scale = 1, std = [1] }: Preprocess, channels: number): Float32Array {
  if (!Number.isFinite(scale) || scale === 0)
    throw new ArgumentError('scale', 'a finite number other than 0', scale);
  if ((std.length !== 1 && std.length !== channels) || !std.every((value) => value > 0 && value < Infinity))
    throw new ArgumentError(
      'std',
      channels === 1
        ? 'one number above 0, as the net takes grey images'
        : '1 or 3 numbers above 0, one per channel',
      std,
    );
  return Float32Array.from({ length: channels }, (_, c) => scale / (std[c] ?? std[0]!));
}

// data_transformer.cpp takes the part of the mean image at the crop's position; a mean image of the crop's size is used
// completely.
function meanValues(mean: Preprocess['mean'], channels: number, crop: Size): Float32Array {
  if (!('shape' in mean)) {
    if (mean.length !== 1 && mean.length !== channels)
      throw new ArgumentError(
        'mean',
        channels === 1 ? 'one value, as the net takes grey images' : '1 or 3 values, one per channel',
        mean,
      );
    return Float32Array.from({ length: channels }, (_, c) => mean[c] ?? mean[0]!);
  }
  const [meanChannels, height, width] = mean.shape.slice(-3) as [number, number, number];
  const { left, top } = centreCrop({ width, height }, crop);
  if (meanChannels !== channels || left < 0 || top < 0 || mean.data.length !== channels * height * width)
    throw new ArgumentError(
      'mean',
      `a mean image of ${channels} channels and at least ${crop.width}×${crop.height}`,
      new InWords(`${mean.shape.join('×')} with ${mean.data.length} values`),
    );
  const values = new Float32Array(channels * crop.height * crop.width);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let y = 0; y < crop.height; y++, at += crop.width) {
      const from = (c * height + y + top) * width + left;
      values.set(mean.data.subarray(from, from + crop.width), at);
    }
  }
  return values;
}

/** The channel means of a mean image, for images of other sizes; any other mean unchanged. */
export function channelMeans(mean: Preprocess['mean'], channels: number): Preprocess['mean'] {
  if (!('shape' in mean) || mean.shape.at(-3) !== channels) return mean;
  const area = mean.data.length / channels;
  return Array.from(
    { length: channels },
    (_, c) => mean.data.subarray(c * area, (c + 1) * area).reduce((sum, value) => sum + value, 0) / area,
  );
}
