/** The ten crops of Krizhevsky et al. (2012, section 4.1), which MSRA's 10-crop errors use. */

import { ArgumentError, ImageError } from '../../base/errors.ts';
import { required, signature } from '../../base/options.ts';
import { centreCrop, resizedSize, type Size, size } from '../geometry.ts';
import type { DeepImage, Image } from '../image.ts';
import type { Corner, Preprocess } from '../preprocess.ts';

const TEN_CROP_CORNERS = signature('tenCropCorners', {
  image: required(size, 'The size of the image.'),
  crop: required(size, 'The size of the crop.'),
});

/** The left and top of the four corners and the centre, row by row. */
export function tenCropCorners(image: Size, crop: Size): Corner[] {
  TEN_CROP_CORNERS.check(image, crop);
  const [right, bottom] = [image.width - crop.width, image.height - crop.height];
  return [
    { left: 0, top: 0 },
    { left: right, top: 0 },
    { left: 0, top: bottom },
    { left: right, top: bottom },
    centreCrop(image, crop),
  ];
}

/**
 * Refuses a resize without room for ten crops.
 * @throws ArgumentError that says why; images that are not resized are checked individually, in `tenCrops`
 */
export function checkTenCrop({ resize, crop }: Preprocess): void {
  if (resize === null) return;
  const { width, height } =
    'width' in resize ? resize : { width: resize.shorterSide, height: resize.shorterSide };
  if (width <= crop.width || height <= crop.height)
    throw new ArgumentError(
      'resize with 10 crops',
      `more than the crop, ${crop.width}×${crop.height}: otherwise corners and centre coincide, and there are fewer than ten crops (MSRA crops 224 from a shorter side of 256)`,
      `${width}×${height}`,
    );
}

/**
 * The five crops, followed by their mirror images; all of them use the centre of a mean image.
 * @param cropAt Calls `preprocessImage` or `preprocessBytes` with a corner.
 * @throws its errors; ImageError if the image does not allow ten different crops
 */
export async function tenCrops<Crop extends Float32Array | Uint8Array>(
  image: Image | DeepImage,
  preprocess: Preprocess,
  cropAt: (corner: Corner) => Promise<Crop>,
): Promise<Crop[]> {
  const { crop } = preprocess;
  const size = resizedSize(image, preprocess.resize);
  if (size.width === crop.width || size.height === crop.height)
    throw new ImageError(
      'image/too-small',
      image.file,
      `is ${size.width}×${size.height}, which does not allow ten different crops of ${crop.width}×${crop.height}`,
    );
  const corners = tenCropCorners(size, crop);
  const crops = await Promise.all(corners.map(cropAt));
  return [...crops, ...crops.map((pixels) => mirrored(pixels, crop.width))];
}

/** Reverses every row; the mean was subtracted before, as in data_transformer.cpp. */
export function mirrored<Pixels extends Float32Array | Uint8Array>(pixels: Pixels, width: number): Pixels {
  const result = pixels.slice() as Pixels;
  for (let at = 0; at < result.length; at += width) result.subarray(at, at + width).reverse();
  return result;
}
