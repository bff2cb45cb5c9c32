/** WindowData (window_data_layer.cpp of BVLC's Caffe, after R-CNN): windows of images, warped to the crop's size. */
import { resolve } from 'node:path';
import { DataError } from '../base/errors.ts';
import { randomInteger, seededRandom } from '../base/random.ts';
import { elementCount } from '../base/shape.ts';
import { decodeImage } from '../images/decode.ts';
import { decodingOf, named } from './image-reader.ts';
import { cutPixels, type Pixels, pixelsOfImage, resizePixels } from './pixels.ts';
import type { Reader, WindowSpec } from './reader.ts';
import type { Transform } from './transform.ts';
import { type ImageWindow, readWindowFile, type WindowFile, type Windows } from './window-file.ts';

/** The region of the image, the size to which it is warped, and its position in the crop. */
export interface Warp {
  readonly cut: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  };
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
}

const round = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
const { fround } = Math;

/**
 * WindowDataLayer::load_batch: the window with its context, as far as it is inside the image; in float32, as in Caffe.
 * @returns Null if nothing of it is inside, or less than half a pixel of the crop.
 */
export function warpOf(
  window: Pick<ImageWindow, 'x1' | 'y1' | 'x2' | 'y2'>,
  image: { readonly width: number; readonly height: number },
  {
    cropSize,
    contextPad,
    isSquare,
  }: Pick<WindowSpec, 'contextPad' | 'isSquare'> & { readonly cropSize: number },
  isMirrored: boolean,
): Warp | null {
  let { x1, y1, x2, y2 } = window;
  if (contextPad === 0 && !isSquare) {
    if (x1 < 0 || y1 < 0 || x2 >= image.width || y2 >= image.height) return null;
    const cut = { left: x1, top: y1, width: x2 - x1 + 1, height: y2 - y1 + 1 };
    return { cut, width: cropSize, height: cropSize, left: 0, top: 0 };
  }
  const scale = fround(cropSize / (cropSize - 2 * contextPad));
  let [halfWidth, halfHeight] = [fround((x2 - x1 + 1) / 2), fround((y2 - y1 + 1) / 2)];
  const [x, y] = [fround(x1 + halfWidth), fround(y1 + halfHeight)];
  if (isSquare) halfWidth = halfHeight = Math.max(halfWidth, halfHeight);
  const [width, height] = [fround(halfWidth * scale), fround(halfHeight * scale)];
  [x1, x2] = [round(fround(x - width)), round(fround(x + width))];
  [y1, y2] = [round(fround(y - height)), round(fround(y + height))];
  const beyond = {
    left: Math.max(0, -x1),
    top: Math.max(0, -y1),
    right: Math.max(0, x2 - image.width + 1),
    bottom: Math.max(0, y2 - image.height + 1),
  };
  const cut = {
    left: x1 + beyond.left,
    top: y1 + beyond.top,
    width: x2 - beyond.right - (x1 + beyond.left) + 1,
    height: y2 - beyond.bottom - (y1 + beyond.top) + 1,
  };
  if (cut.width < 1 || cut.height < 1) return null;
  const [scaleX, scaleY] = [fround(cropSize / (x2 - x1 + 1)), fround(cropSize / (y2 - y1 + 1))];
  const left = round(fround((isMirrored ? beyond.right : beyond.left) * scaleX));
  const top = round(fround(beyond.top * scaleY));
  // Because of rounding, the two together may exceed the crop.
  const warp = {
    cut,
    width: Math.min(round(fround(cut.width * scaleX)), cropSize - left),
    height: Math.min(round(fround(cut.height * scaleY)), cropSize - top),
    left,
    top,
  };
  return warp.width < 1 || warp.height < 1 ? null : warp;
}

/**
 * Reads the window file and draws windows from it, first background, then foreground.
 * @throws DataError
 */
export async function windowReader(spec: WindowSpec): Promise<Reader> {
  const { source, file, tops, transform, batch, thresholds } = spec;
  const { cropSize } = transform;
  const shape = [3, cropSize, cropSize];
  const read = await readWindowFile(file, thresholds);
  const foreground = Math.floor(fround(batch * fround(spec.foreground)));
  checkDrawn(read.foreground, foreground, source, `fg_threshold (${thresholds.foreground}) or more`);
  checkDrawn(
    read.background,
    batch - foreground,
    source,
    `less than bg_threshold (${thresholds.background})`,
  );
  checkInside(read, spec);
  return {
    describe: async () => ({
      shapes: { [tops.data]: shape, ...(tops.label === null ? {} : { [tops.label]: [] }) },
    }),
    async read(samples, _, output, stopped) {
      const data = output[tops.data] as Float32Array;
      data.fill(0);
      for (const [i, { seed }] of samples.entries()) {
        if (stopped()) break;
        const random = seededRandom(seed);
        const windows = i < batch - foreground ? read.background : read.foreground;
        const window = windows.at(randomInteger(random, windows.count));
        const isMirrored = transform.mirror && randomInteger(random, 2) === 1;
        await named(undefined, nameOf(window, read, source), () =>
          placeWindow(window, read, spec, isMirrored, data, i * elementCount(shape)),
        );
        if (tops.label !== null) output[tops.label]![i] = window.label;
      }
    },
    close: () => {},
  };
}

const nameOf = ({ image, line }: ImageWindow, { images }: WindowFile, source: string): string =>
  `${source}:${line}: a window of ${images[image]!.path}`;

function checkDrawn(windows: Windows, drawn: number, source: string, overlap: string): void {
  if (drawn > 0 && windows.count === 0)
    throw new DataError(
      'data/windows',
      { file: source },
      `has no window whose overlap is ${overlap}, but each batch needs ${drawn} of them; see fg_fraction, fg_threshold and bg_threshold`,
    );
}

/** Checks what would stop Caffe in the middle of a training. */
function checkInside({ images, foreground, background }: WindowFile, spec: WindowSpec): void {
  const { transform } = spec;
  for (const windows of [foreground, background])
    for (let i = 0; i < windows.count; i++) {
      const window = windows.at(i);
      const image = images[window.image]!;
      for (const isMirrored of transform.mirror ? [false, true] : [false])
        if (warpOf(window, image, { ...spec, cropSize: transform.cropSize }, isMirrored) === null)
          throw outside(window, image, spec.source);
    }
}

function outside(
  { x1, y1, x2, y2, line }: ImageWindow,
  { width, height }: { readonly width: number; readonly height: number },
  source: string,
): DataError {
  return new DataError(
    'data/windows',
    { file: `${source}:${line}` },
    `the window ${x1} ${y1} ${x2} ${y2} is not inside its image of ${width}×${height} pixels (width × height); x runs from 0 to ${width - 1}, y from 0 to ${height - 1}`,
  );
}

async function placeWindow(
  window: ImageWindow,
  { images }: WindowFile,
  spec: WindowSpec,
  isMirrored: boolean,
  output: Float32Array,
  at: number,
): Promise<void> {
  const { transform, root, folder } = spec;
  const { cropSize } = transform;
  const listed = images[window.image]!;
  const pixels = pixelsOfImage(
    await decodeImage(resolve(folder, root + listed.path), decodingOf(transform.augment)),
    true,
  );
  if (pixels.width !== listed.width || pixels.height !== listed.height)
    throw new DataError(
      'data/size',
      {},
      `the image is ${pixels.height}×${pixels.width}, the window file says ${listed.height}×${listed.width} (height × width)`,
    );
  const warp = warpOf(window, pixels, { ...spec, cropSize }, isMirrored);
  if (warp === null) throw outside(window, pixels, spec.source);
  const warped = await resizePixels(cutPixels(pixels, warp.cut), warp.width, warp.height);
  writeWarped(warped, warp, spec, isMirrored, output, at);
}

/** Applies mean and scale, mirrored within the warped width. */
function writeWarped(
  { data, offsets, rowStride, pixelStride }: Pixels,
  { width, height, left, top }: Warp,
  { transform, scale }: WindowSpec,
  isMirrored: boolean,
  output: Float32Array,
  at: number,
): void {
  const { cropSize } = transform;
  const mean = meanOf(transform);
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const pixel = data[offsets[c]! + y * rowStride + (isMirrored ? width - 1 - x : x) * pixelStride]!;
        output[at + (c * cropSize + y + top) * cropSize + x + left] =
          fround(pixel - mean(c, y + top, x + left)) * fround(scale);
      }
}

/** The mean at a position of the crop; for a mean image, its central part, according to its width. */
function meanOf({ mean, meanValues, cropSize }: Transform): (c: number, y: number, x: number) => number {
  if (mean === null) return (c) => fround(meanValues[c] ?? meanValues[0] ?? 0);
  const [height, width] = mean.shape.slice(-2) as [number, number];
  const offset = Math.floor((width - cropSize) / 2);
  return (c, y, x) => mean.data[(c * height + y + offset) * width + x + offset]!;
}
