/** Sizes of resized images and places of crops. */
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

/** To a shorter side with the aspect kept, or to exactly width × height; null: as it is. */
export type Resize = { readonly shorterSide: number } | Size | null;

const sizeRows = {
  width: required(integer(1), 'The width in pixels.'),
  height: required(integer(1), 'The height in pixels.'),
};
/** Of an image too. */
export const size: Kind<Size> = fields<Size>('a size, { width, height }', sizeRows);

const SIZE = /^(\d+)[x×](\d+)$/;
/** A size and nothing else. */
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
 * The size after resizing. The longer side is rounded to the nearest integer (halves up), which keeps the aspect
 * best; MSRA's text (He et al. 2015, section 3.4) names the shorter side only.
 */
export function resizedSize(image: Size, resize: Resize): Size {
  if (resize === null) return { width: image.width, height: image.height };
  if ('width' in resize) return { width: resize.width, height: resize.height };
  const { shorterSide } = resize;
  const scale = shorterSide / Math.min(image.width, image.height);
  const side = (length: number) => Math.max(shorterSide, Math.round(length * scale));
  return { width: side(image.width), height: side(image.height) };
}

/** Left and top of a centred crop; odd margins put the smaller half first. Negative where it does not fit. */
export function centreCrop(image: Size, crop: Size): { left: number; top: number } {
  return {
    left: Math.floor((image.width - crop.width) / 2),
    top: Math.floor((image.height - crop.height) / 2),
  };
}
