/**
 * Prepares whole images as a net's input and keeps their position in it, for nets whose answers are positions in the image.
 */
import { type GraphError, ImageError } from '../base/errors.ts';
import { either, integer, type Kind, nullOr } from '../base/kinds.ts';
import { roundHalfEven } from '../base/numbers.ts';
import { optional, options, required } from '../base/options.ts';
import { exactSize, type Resize, resizedSize, type Size, shorterSide } from './geometry.ts';
import type { DeepImage, Image } from './image.ts';
import { channelMeans, type Preprocess, preprocessImage, preprocessRows } from './preprocess.ts';

/**
 * In addition to the values of `Preprocess`: `longestSide` sets the longer side. With both sides, the shorter side is set
 * unless the longer one would become larger than its limit (py-faster-rcnn's SCALES and MAX_SIZE, lib/utils/blob.py). With
 * `multipleOf` each side then becomes the nearest multiple (run_cascadercnn_coco.m of Cascade R-CNN), because a pyramid of
 * maps adds maps of half the size.
 */
export type WholeResize =
  | Resize
  | { readonly longestSide: number; readonly multipleOf?: number }
  | { readonly shorterSide: number; readonly longestSide: number; readonly multipleOf?: number };

/** How a whole image becomes a net's input: nothing is cropped. docs/preprocess.md describes the same settings as a file. */
export interface WholePreprocess extends Omit<Preprocess, 'resize' | 'crop'> {
  /** Default: that of the task. */
  readonly resize?: WholeResize;
  /**
   * The size to which images are padded on the right and below, with the mean, which becomes 0 for the net. Default none.
   */
  readonly pad?: Size;
}

const longest = {
  longestSide: required(integer(1), 'The longer side in pixels; the aspect ratio stays.'),
  multipleOf: optional(integer(1), '1', 'Both sides are rounded to multiples of this, each by itself.'),
};
export const wholeResize: Kind<WholeResize> = nullOr(
  either(
    exactSize,
    shorterSide,
    options<Extract<WholeResize, { longestSide: number }>>(longest),
    options<Extract<WholeResize, { shorterSide: number; longestSide: number }>>({
      shorterSide: required(integer(1), 'The shorter side in pixels; the aspect ratio stays.'),
      ...longest,
    }),
  ),
);

export const wholePreprocess = options<WholePreprocess>({
  resize: optional(
    wholeResize,
    'as the task says',
    'The size that images are resized to, bilinearly; null: images keep their size.',
  ),
  pad: optional(
    exactSize,
    'none',
    'The size that images are padded to, on the right and below, with the mean.',
  ),
  ...preprocessRows,
});

/** The position of an image in the input that was made from it: at the left and top. */
export interface Placement {
  /** The image's own size. */
  readonly image: Size;
  /** The size of the image in the input. */
  readonly resized: Size;
  /** The size of the input: the same, or with padding. */
  readonly input: Size;
  /** The number of input pixels per image pixel, along both axes. */
  readonly scale: { readonly x: number; readonly y: number };
}

/** @throws ImageError if the resized image is larger than `pad` */
export function placementOf(
  image: Size & { readonly file?: string },
  { resize = null, pad }: Pick<WholePreprocess, 'resize' | 'pad'>,
): Placement {
  const { size: resized, scale } = sizeOf(image, resize);
  if (pad !== undefined && (resized.width > pad.width || resized.height > pad.height))
    throw new ImageError(
      'image/too-large',
      image.file,
      `is ${resized.width}×${resized.height}${resize === null ? '' : ' when resized'}, larger than ${pad.width}×${pad.height}, the size to which it is padded; resize it to a longest side of ${Math.min(pad.width, pad.height)} (--longest-side)`,
    );
  const { width, height } = image;
  return { image: { width, height }, resized, input: pad ?? resized, scale };
}

/** The error of a net for an image whose size it does not accept, with the image's name. */
export const unfitSize = (
  file: string | undefined,
  { image, input }: Placement,
  cause: GraphError,
): ImageError =>
  new ImageError(
    'image/size',
    file,
    `is ${image.width}×${image.height}, ${input.width}×${input.height} as the net's input: ${cause.message}; resize it, or pad it (--resize, --pad; multipleOf in preprocess.json)`,
    { cause },
  );

function sizeOf(image: Size, resize: WholeResize): { size: Size; scale: Placement['scale'] } {
  if (resize === null || !('longestSide' in resize)) {
    const size = resizedSize(image, resize);
    return { size, scale: { x: size.width / image.width, y: size.height / image.height } };
  }
  const { longestSide, multipleOf = 1 } = resize;
  const shorter = Math.min(image.width, image.height);
  const longer = Math.max(image.width, image.height);
  const factor = 'shorterSide' in resize ? resize.shorterSide / shorter : longestSide / longer;
  const scale = Math.round(factor * longer) > longestSide ? longestSide / longer : factor;
  // As OpenCV's resize with fx and fy rounds a size: halves to even.
  const side = (length: number) =>
    multipleOf === 1
      ? Math.max(1, roundHalfEven(length * scale))
      : multipleOf * Math.max(1, Math.round((length * scale) / multipleOf));
  const size = { width: side(image.width), height: side(image.height) };
  return multipleOf === 1
    ? { size, scale: { x: scale, y: scale } }
    : { size, scale: { x: size.width / image.width, y: size.height / image.height } };
}

/**
 * Prepares the image as channels × height × width of the input, off the event loop. If a mean image has another size, its
 * channel means are subtracted.
 * @throws ImageError, ArgumentError as preprocessImage and placementOf
 */
export async function prepareWhole(
  image: Image | DeepImage,
  preprocess: WholePreprocess,
  channels: 1 | 3,
): Promise<{ readonly placement: Placement; readonly data: Float32Array }> {
  const { resize: _, pad: __, mean, ...others } = preprocess;
  const placement = placementOf(image, preprocess);
  const { resized, input } = placement;
  const fits = 'shape' in mean && String(mean.shape.slice(-2)) === String([resized.height, resized.width]);
  const data = await preprocessImage(
    image,
    { ...others, resize: resized, crop: resized, mean: fits ? mean : channelMeans(mean, channels) },
    channels,
  );
  return { placement, data: resized === input ? data : padded(data, resized, input) };
}

function padded(data: Float32Array, from: Size, to: Size): Float32Array {
  const channels = data.length / (from.width * from.height);
  const result = new Float32Array(channels * to.width * to.height);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < from.height; y++) {
      const at = (c * from.height + y) * from.width;
      result.set(data.subarray(at, at + from.width), (c * to.height + y) * to.width);
    }
  return result;
}

/** The size that all images get; null if it depends on the image. */
export function commonSize({ resize, pad }: Pick<WholePreprocess, 'resize' | 'pad'>): Size | null {
  if (pad !== undefined) return pad;
  return resize !== null && resize !== undefined && 'width' in resize ? resize : null;
}

/** Whether a crop of that size removes nothing; without a resize, images keep their size. */
export const isWhole = (resize: WholeResize | undefined, crop: Size): boolean =>
  resize === null ||
  (resize !== undefined && 'width' in resize && resize.width === crop.width && resize.height === crop.height);
