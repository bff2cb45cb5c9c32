/** Random changes of an image's geometry and colour, as torchvision draws and computes them: one table of options each. */
import { either, integer, type Kind, list, number } from '../base/kinds.ts';
import { optional, options, required } from '../base/options.ts';

/** A region of the image, resized to crop_size (RandomResizedCrop; Szegedy et al., arXiv 1409.4842, section 6). */
export interface ResizedCrop {
  /** The share of the image's area, drawn uniformly. Default [0.08, 1]. */
  readonly area?: readonly [number, number];
  /** Width over height, drawn uniformly on a logarithmic scale. Default [3/4, 4/3]. */
  readonly ratio?: readonly [number, number];
}

/** ColorJitter: the given changes in random order, each with a factor drawn from 1 − v to 1 + v. */
export interface Jitter {
  readonly brightness?: number;
  readonly contrast?: number;
  /** For three channels, B, G, R; grey images have no saturation. */
  readonly saturation?: number;
  /** The largest turn, as a share of a full circle, up to 0.5. */
  readonly hue?: number;
}

/** RandomAffine: a rotation, shift, scale and shear about the image's centre, bilinear. */
export interface Affine {
  /** In degrees, clockwise; v draws from −v to v. Default 0. */
  readonly rotation?: number | readonly [number, number];
  /** The largest shifts as shares of width and height. Default [0, 0]. */
  readonly translate?: readonly [number, number];
  /** Default [1, 1]. */
  readonly scale?: readonly [number, number];
  /** In degrees along x; v draws from −v to v. Default 0. */
  readonly shear?: number | readonly [number, number];
  /** The value of pixels that come from outside the image, 0 to 255. Default 0. */
  readonly fill?: number;
}

/** Squares of zeros in the net's input (DeVries and Taylor, arXiv 1708.04552). */
export interface Cutout {
  /** The side in pixels; squares are clipped at the image's edges. */
  readonly size: number;
  /** Default 1. */
  readonly count?: number;
}

/** A range of two numbers, the smaller first. */
function range(limits: {
  readonly from?: number;
  readonly above?: number;
  readonly to?: number;
}): Kind<readonly [number, number]> {
  const each = list(number(limits), { of: 'numbers', exactly: 2 });
  const expected = `two numbers, the smaller first, each ${number(limits).expected}`;
  return {
    expected,
    mistake(value) {
      const mistake = each.mistake(value);
      const [low, high] = Array.isArray(value) ? (value as number[]) : [];
      return mistake === null && low! <= high! ? null : { path: '', expected, actual: value };
    },
  };
}

const degrees = either(number({ from: 0, to: 180 }), range({ from: -180, to: 180 }));
const shears = either(number({ from: 0, to: 80 }), range({ from: -80, to: 80 }));

export const resizedCrop: Kind<ResizedCrop> = options<ResizedCrop>({
  area: optional(
    range({ above: 0, to: 1 }),
    '[0.08, 1]',
    "The smallest and the largest share of the image's area.",
  ),
  ratio: optional(
    range({ above: 0, to: 100 }),
    '[3/4, 4/3]',
    'The smallest and the largest ratio of width to height.',
  ),
});
const jittered = (what: string) =>
  optional(number({ from: 0, to: 10 }), '0', `${what} is multiplied by a factor from 1 − v to 1 + v.`);

export const jitter: Kind<Jitter> = options<Jitter>({
  brightness: jittered('Brightness'),
  contrast: jittered('Contrast'),
  saturation: jittered('Saturation'),
  hue: optional(
    number({ from: 0, to: 0.5 }),
    '0',
    'The largest turn of the hue, as a share of a full circle.',
  ),
});
export const affine: Kind<Affine> = options<Affine>({
  rotation: optional(degrees, '0', 'The rotation in degrees, clockwise.'),
  translate: optional(
    list(number({ from: 0, to: 1 }), { of: 'numbers from 0 to 1', exactly: 2 }) as Kind<
      readonly [number, number]
    >,
    '[0, 0]',
    'The largest shifts, as shares of width and height.',
  ),
  scale: optional(range({ above: 0, to: 100 }), '[1, 1]', 'The smallest and the largest factor of the size.'),
  shear: optional(shears, '0', 'The shear along x in degrees.'),
  fill: optional(number({ from: 0, to: 255 }), '0', 'The value of pixels that come from outside the image.'),
});
export const cutout: Kind<Cutout> = options<Cutout>({
  size: required(integer(1, 2 ** 16), 'The side of a square in pixels.'),
  count: optional(integer(1, 1000), '1', 'The number of squares.'),
});
