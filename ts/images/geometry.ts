/** Sizes of resized images and positions of crops. */
import { either, integer, type Kind, nullOr, number, written } from '../base/kinds.ts';
import { fields, options, required } from '../base/options.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A rectangle in an image's own pixels, from its left and top edges. */
export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

export const box: Kind<Box> = fields<Box>('a box, { x, y, width, height }', {
  x: required(number(), 'The left edge in pixels.'),
  y: required(number(), 'The top edge in pixels.'),
  width: required(number({ from: 0 }), 'The width in pixels.'),
  height: required(number({ from: 0 }), 'The height in pixels.'),
});

/** The shorter side, with the aspect ratio kept, or exactly width × height; null: unchanged. */
export type Resize = { readonly shorterSide: number } | Size | null;

const sizeRows = {
  width: required(integer(1), 'The width in pixels.'),
  height: required(integer(1), 'The height in pixels.'),
};
/** Any object with a size, such as an image. */
export const size: Kind<Size> = fields<Size>('a size, { width, height }', sizeRows);

const SIZE = /^(\d+)[x×](\d+)$/;
/** A size without other fields. */
export const exactSize: Kind<Size> = written(
  options<Size>(sizeRows),
  (text) => {
    const [, width, height] = SIZE.exec(text)?.map(Number) ?? [];
    return width === undefined ? text : { width, height };
  },
  'WIDTHxHEIGHT, such as 256x256',
);

export const shorterSide = options<{ readonly shorterSide: number }>({
  shorterSide: required(integer(1), 'The shorter side in pixels; the aspect ratio stays.'),
});

export const resize: Kind<Resize> = nullOr(either(exactSize, shorterSide));

/**
 * The size after resizing. The longer side is rounded to the nearest integer (halves up), which keeps the aspect ratio best;
 * MSRA's text (He et al. 2015, section 3.4) mentions only the shorter side.
 */
export function resizedSize(image: Size, resize: Resize): Size {
  if (resize === null) return { width: image.width, height: image.height };
  if ('width' in resize) return { width: resize.width, height: resize.height };
  const { shorterSide } = resize;
  const scale = shorterSide / Math.min(image.width, image.height);
  const side = (length: number) => Math.max(shorterSide, Math.round(length * scale));
  return { width: side(image.width), height: side(image.height) };
}

/**
 * The left and top margins of a centred crop; if a margin is odd, the smaller half comes first. Negative if the crop does
 * not fit.
 */
export function centreCrop(image: Size, crop: Size): { left: number; top: number } {
  return {
    left: Math.floor((image.width - crop.width) / 2),
    top: Math.floor((image.height - crop.height) / 2),
  };
}
