/**
 * Reads images with a class for each pixel: ImageSegData of DeepLab's fork (image_seg_data_layer.cpp, and TransformImgAndSeg
 * of data_transformer.cpp; arXiv:1606.00915). For a label map with a palette, as PASCAL VOC has, the indices count. Classes
 * are never mixed: a map is resized to the nearest pixel wherever its image is resized. The random numbers are drawn in this
 * order: mirror, factor, top, left.
 */
import { DataError } from '../base/errors.ts';
import { randomInteger, seededRandom } from '../base/random.ts';
import { decodeImage } from '../images/decode.ts';
import { decodingOf, named } from './image-reader.ts';
import { readLabelMap } from './label-map.ts';
import { type Pixels, pixelsOfImage, resizePixels } from './pixels.ts';
import type { Description, ListedImage, Reader, Sample, SegmentationSpec } from './reader.ts';
import { resizeBy } from './resize-modes.ts';
import { checkMeanCount } from './transform.ts';

/** An image, and its classes in the same size. */
interface Pair {
  readonly name: string;
  readonly pixels: Pixels;
  readonly classes: Pixels;
  /** The size of the image as it was read. */
  readonly size: readonly [height: number, width: number];
}

export function segmentationReader(spec: SegmentationSpec): Reader {
  const [data, label, dims] = spec.tops as [string, string, string?];
  const { crop } = spec;
  const shapesOf = ({ pixels }: Pair): Description['shapes'] => {
    const { height, width } = crop ?? pixels;
    return {
      [data]: [pixels.offsets.length, height, width],
      [label]: [1, height, width],
      ...(dims === undefined ? {} : { [dims]: [1, 1, 2] }),
    };
  };
  return {
    describe: async (first) => ({ shapes: shapesOf(await load(spec, first.image!)) }),
    async read(samples, shapes, output, stopped) {
      for (const [i, sample] of samples.entries()) {
        if (stopped()) break;
        const pair = await load(spec, sample.image!);
        const [height, width] = shapes[label]!.slice(1) as [number, number];
        await named(undefined, pair.name, () =>
          write(
            spec,
            pair,
            sample,
            { height, width },
            output[data] as Float32Array,
            output[label] as Float32Array,
            i,
          ),
        );
        if (dims !== undefined)
          output[dims]!.set([Math.min(height, pair.size[0]), Math.min(width, pair.size[1])], i * 2);
      }
    },
    close: () => {},
  };
}

async function load(spec: SegmentationSpec, { path, map, label, line }: ListedImage): Promise<Pair> {
  const { list, resize, transform, labels, ignoreLabel } = spec;
  const name = `${list}:${line}: ${path}`;
  const decoding = decodingOf(transform.augment);
  const read = await named(undefined, name, async () =>
    pixelsOfImage(await decodeImage(path, decoding), transform.colour !== false),
  );
  const pixels = await named(undefined, name, async () => {
    checkMeanCount(transform.meanValues, read.offsets.length);
    return resize === null ? read : resizePixels(read, resize.width, resize.height);
  });
  const size = [read.height, read.width] as const;
  if (labels !== 'PIXEL')
    return { name, pixels, size, classes: constant(pixels, labels === 'IMAGE' ? label : ignoreLabel) };
  const mapName = `${list}:${line}: ${map}`;
  const classes = await named(undefined, mapName, async () => {
    const { width, height, map: data } = await readLabelMap(map!);
    const read = { data, width, height, offsets: [0], rowStride: width, pixelStride: 1 };
    return resize === null ? read : resizeBy(read, resize, 'NEAREST');
  });
  if (classes.height !== pixels.height || classes.width !== pixels.width)
    throw new DataError(
      'data/size',
      {},
      `${mapName}: is ${classes.width}×${classes.height}, its image ${pixels.width}×${pixels.height}; each pixel needs a class`,
    );
  return { name, pixels, classes, size };
}

const constant = ({ height, width }: Pixels, value: number): Pixels => ({
  data: new Uint8Array(height * width).fill(value),
  ...{ height, width, offsets: [0], rowStride: width, pixelStride: 1 },
});

async function write(
  { crop, transform, factors, ignoreLabel }: SegmentationSpec,
  pair: Pair,
  { seed }: Sample,
  { height, width }: { readonly height: number; readonly width: number },
  data: Float32Array,
  label: Float32Array,
  item: number,
): Promise<void> {
  const random = seededRandom(seed);
  const mirrored = transform.mirror && randomInteger(random, 2) === 1;
  const factor = factors.length === 0 ? 1 : factors[randomInteger(random, factors.length)]!;
  const { pixels, classes } = await scaled(pair, factor);
  const channels = pixels.offsets.length;
  // Outside an image that is too small are the mean and the ignored label.
  const room = [
    Math.max(pixels.height, crop?.height ?? 0),
    Math.max(pixels.width, crop?.width ?? 0),
  ] as const;
  if (crop === null && (room[0] !== height || room[1] !== width))
    throw new DataError(
      'data/size',
      {},
      `is ${room.join('×')}, the first one ${height}×${width}: all must have one size; set crop_size, or new_height and new_width`,
    );
  const place = (margin: number) =>
    transform.phase === 'TRAIN' ? randomInteger(random, margin + 1) : Math.floor(margin / 2);
  const [top, left] = [place(room[0] - height), place(room[1] - width)];
  const scale = Math.fround(transform.scale);
  const means = pixels.offsets.map((_, c) =>
    Math.fround(transform.meanValues[c] ?? transform.meanValues[0] ?? 0),
  );
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const [y, x] = [top + row, left + column];
      const inside = y < pixels.height && x < pixels.width;
      const to = row * width + (mirrored ? width - 1 - column : column);
      for (let c = 0; c < channels; c++)
        data[(item * channels + c) * height * width + to] = inside
          ? Math.fround(
              pixels.data[pixels.offsets[c]! + y * pixels.rowStride + x * pixels.pixelStride]! - means[c]!,
            ) * scale
          : 0;
      label[item * height * width + to] = inside
        ? classes.data[classes.offsets[0]! + y * classes.rowStride + x * classes.pixelStride]!
        : ignoreLabel;
    }
}

/** Resizes the image bilinearly and its classes to the nearest pixel. */
async function scaled({ pixels, classes }: Pair, factor: number): Promise<Pick<Pair, 'pixels' | 'classes'>> {
  if (factor === 1) return { pixels, classes };
  const size = {
    height: Math.max(1, Math.trunc(pixels.height * factor)),
    width: Math.max(1, Math.trunc(pixels.width * factor)),
  };
  return {
    pixels: await resizePixels(pixels, size.width, size.height),
    classes: await resizeBy(classes, size, 'NEAREST'),
  };
}
