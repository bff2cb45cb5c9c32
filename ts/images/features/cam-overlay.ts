/** Draws a class activation map over the part of the image that the net saw, as a PNG. */
import { fields, required, signature } from '../../base/options.ts';
import { type Tensor, tensor } from '../../device/tensor.ts';
import { centreCrop, type Resize, resize, resizedSize, type Size, size } from '../geometry.ts';
import { type Image, image } from '../image.ts';

const SMALLEST = 224;
const LARGEST = 1024;
/** The colours from dark to bright; a value of 0 is transparent. */
const HEAT: readonly (readonly [red: number, green: number, blue: number])[] = [
  [70, 10, 110],
  [190, 30, 90],
  [240, 110, 30],
  [255, 230, 80],
];

/** Rows of what a map is drawn from. */
export const DRAWN = {
  image: required(image, 'A decoded image.'),
  shown: required(
    fields<{ resize: Resize; crop: Size }>('{ resize, crop }', {
      resize: required(resize, 'The size that the image was resized to.'),
      crop: required(size, 'The crop of the resized image.'),
    }),
    'The part of the image that the net saw.',
  ),
  map: required(tensor, 'The map, H×W.'),
};

const CAM_OVERLAY = signature('camOverlay', DRAWN);

/**
 * Shows only positive evidence for the class, from 0 (transparent) to the map's maximum (bright).
 * @param shown The part of the image that the net saw: its resize and centre crop.
 * @returns An encoded PNG with sides of 224 to 1024 pixels if the aspect ratio allows it.
 */
export async function camOverlay(
  image: Image,
  shown: { resize: Resize; crop: Size },
  map: Tensor,
): Promise<Uint8Array> {
  CAM_OVERLAY.check(image, shown, map);
  const { default: sharp } = await import('sharp');
  const { width, height, overlay } = await shownWithMap(image, shown, map);
  return sharp(overlay, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

interface ShownWithMap extends Size {
  /** RGB. */
  readonly original: Uint8Array;
  readonly overlay: Uint8Array;
  /** The maximum of the map. */
  readonly maximum: number;
}

/**
 * The part of the image that the net saw, without and with the map over it.
 * @internal
 */
export async function shownWithMap(
  image: Image,
  shown: { resize: Resize; crop: Size },
  map: Tensor,
): Promise<ShownWithMap> {
  const { default: sharp } = await import('sharp');
  const region = regionOf(image, shown);
  const scale = Math.min(
    Math.max(1, SMALLEST / Math.min(region.width, region.height)),
    LARGEST / Math.max(region.width, region.height),
  );
  const width = Math.max(1, Math.round(region.width * scale));
  const height = Math.max(1, Math.round(region.height * scale));
  const raw = { width: image.width, height: image.height, channels: image.channels };
  const pixels = await sharp(image.data, { raw })
    .extract(region)
    .resize(width, height, { fit: 'fill', kernel: scale > 1 ? 'nearest' : 'lanczos3' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { channels } = pixels.info;
  const maximum = map.data.reduce((most, value) => Math.max(most, value), 0);
  const original = new Uint8Array(width * height * 3);
  const overlay = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      const value =
        maximum > 0 ? Math.max(0, sample(map, (y + 0.5) / height, (x + 0.5) / width) / maximum) : 0;
      const colour = heat(value);
      const opacity = 0.75 * Math.min(value, 1);
      for (let c = 0; c < 3; c++) {
        const below = pixels.data[at * channels + (channels >= 3 ? c : 0)]!;
        original[at * 3 + c] = below;
        overlay[at * 3 + c] = Math.round(below * (1 - opacity) + colour[c]! * opacity);
      }
    }
  return { width, height, original, overlay, maximum };
}

/** The crop in the image's own pixels. */
function regionOf(image: Image, { resize, crop }: { resize: Resize; crop: Size }) {
  const resized = resizedSize(image, resize);
  const { left, top } = centreCrop(resized, crop);
  const x = image.width / resized.width;
  const y = image.height / resized.height;
  const begin = { left: Math.max(0, Math.round(left * x)), top: Math.max(0, Math.round(top * y)) };
  return {
    ...begin,
    width: Math.min(image.width - begin.left, Math.max(1, Math.round(crop.width * x))),
    height: Math.min(image.height - begin.top, Math.max(1, Math.round(crop.height * y))),
  };
}

/** Samples bilinearly at positions that are shares of the map's sides; edges are repeated. */
function sample({ shape, data }: Tensor, y: number, x: number): number {
  const [height, width] = shape as [number, number];
  const at = (share: number, length: number) => {
    const place = Math.min(Math.max(share * length - 0.5, 0), length - 1);
    const low = Math.floor(place);
    return { low, high: Math.min(low + 1, length - 1), part: place - low };
  };
  const row = at(y, height);
  const column = at(x, width);
  const along = (line: number) =>
    data[line * width + column.low]! * (1 - column.part) + data[line * width + column.high]! * column.part;
  return along(row.low) * (1 - row.part) + along(row.high) * row.part;
}

/**
 * The colour of a share of the maximum.
 * @internal
 */
export function heat(value: number): number[] {
  const place = Math.min(value, 1) * (HEAT.length - 1);
  const low = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[low]!.map((from, c) => from + (HEAT[low + 1]![c]! - from) * (place - low));
}
