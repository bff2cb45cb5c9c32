/**
 * AnnotatedData of SSD's fork (annotated_data_layer.cpp): images of a database with their boxes, cropped at random. The
 * boxes form a label of 1×1×K×8: [index in the batch, class, instance, xmin, ymin, xmax, ymax, difficult]. SSD's K is the
 * number of boxes of a batch; here it is the largest number that a batch can have, and the remaining rows are −1, which
 * SSD's layers skip.
 */

import { DataError } from '../base/errors.ts';
import { randomInteger, seededRandom } from '../base/random.ts';
import { elementCount } from '../base/shape.ts';
import { type Annotation, countAnnotations, readAnnotatedDatum } from './annotated-datum.ts';
import type { AnnotatedTransform } from './annotated-param.ts';
import type { Database } from './database.ts';
import { distortColours } from './distort-colours.ts';
import { decodingOf, named, pixelsOf } from './image-reader.ts';
import { LevelDb } from './leveldb/leveldb.ts';
import { openLmdb } from './lmdb.ts';
import { cutPixels, interleaved, type Pixels } from './pixels.ts';
import type { AnnotatedSpec, Reader, Sample } from './reader.ts';
import { resizeBy } from './resize-modes.ts';
import { drawPart, mirrorBoxes, projectBoxes } from './sample-boxes.ts';
import { type Transform, transformedShape, transformPixels } from './transform.ts';

/** An image and its boxes. */
interface Annotated {
  readonly pixels: Pixels;
  readonly boxes: readonly Annotation[];
}

const ROW = 8;

/** @throws DataError */
export async function annotatedReader(spec: AnnotatedSpec): Promise<Reader> {
  const { tops, transform, annotated } = spec;
  const database: Database = spec.backend === 'lmdb' ? openLmdb(spec.path) : await LevelDb.open(spec.path);
  const prepare = async ({ index, seed }: Sample) => {
    const { key, value } = await database.at(index);
    const name = key.toString('latin1');
    const { datum, annotations } = readAnnotatedDatum(value, { file: database.file, key: name });
    if (annotations === null)
      throw new DataError(
        'data/label',
        { file: database.file },
        `record "${name}" has no boxes and no type; a Data layer reads a database of labelled images`,
      );
    const random = seededRandom(seed);
    const prepared = await named(database.file, `record "${name}"`, async () =>
      sampled(
        {
          pixels: await pixelsOf(datum, transform.colour, decodingOf(transform.augment)),
          boxes: annotations,
        },
        { annotated, transform, random },
      ),
    );
    return { name: `record "${name}"`, random, ...prepared };
  };
  /**
   * Writes one sample to its position.
   * @returns Its boxes.
   */
  const place = async (sample: Sample, data: Float32Array, at: number, given?: readonly number[]) => {
    const { name, pixels, boxes, random } = await prepare(sample);
    const shape = given ?? transformedShape(pixels, transform);
    const output = given === undefined ? new Float32Array(elementCount(shape)) : data;
    const made = await named(database.file, name, () => {
      const { top, left, mirrored } = transformPixels(pixels, transform, random, shape, output, at);
      const pad = transform.augment.pad ?? 0;
      return cutBoxes(
        boxes,
        pixels,
        { top: top - pad, left: left - pad, mirrored, size: shape.slice(1) },
        annotated,
      );
    });
    return { shape, boxes: made };
  };
  return {
    describe: async (first) => {
      const { shape } = await place(first, new Float32Array(0), 0);
      const most = await mostBoxes(database, spec.batch);
      return {
        shapes: { [tops.data]: shape, ...(tops.label === null ? {} : { [tops.label]: [1, 1, most, ROW] }) },
        count: database.count,
      };
    },
    async read(samples, shapes, output, stopped) {
      const shape = shapes[tops.data]!;
      const label = tops.label === null ? null : (output[tops.label] as Float32Array);
      label?.fill(-1);
      let row = 0;
      for (const [i, sample] of samples.entries()) {
        if (stopped()) break;
        const { boxes } = await place(
          sample,
          output[tops.data] as Float32Array,
          i * elementCount(shape),
          shape,
        );
        if (label === null) continue;
        for (const { label: of, instance, xmin, ymin, xmax, ymax, difficult } of boxes)
          label.set([i, of, instance, xmin, ymin, xmax, ymax, Number(difficult)], ROW * row++);
      }
    },
    close: () => database.close(),
  };
}

/** The largest number of boxes that a batch can have, at least 1: those of the records with the most boxes. */
async function mostBoxes(database: Database, batch: number): Promise<number> {
  const counts = new Uint32Array(database.count);
  for (let i = 0; i < database.count; i++) {
    const record = database.at(i);
    const { key, value } = record instanceof Promise ? await record : record;
    counts[i] = countAnnotations(value, { file: database.file, key: key.toString('latin1') });
  }
  counts.sort();
  // If a batch is larger than the database, records repeat.
  let sum = 0;
  for (let i = 0; i < batch; i++) sum += counts[counts.length - 1 - (i % counts.length)]!;
  return Math.max(1, sum);
}

/** Applies in this order: colours, a larger canvas, a random cut, the size. */
async function sampled(
  { pixels, boxes }: Annotated,
  {
    annotated: { distort, expand, samplers, resize, emit },
    transform,
    random,
  }: { annotated: AnnotatedTransform; transform: Transform; random: () => number },
): Promise<Annotated> {
  const changes = distort !== null || expand !== null || samplers.length > 0 || resize !== null;
  if (changes && !(pixels.data instanceof Uint8Array))
    throw new DataError(
      'data/size',
      {},
      'has float values; distort_param, expand_param, batch_sampler and resize_param are for bytes',
    );
  let now: Annotated = { pixels, boxes };
  if (distort !== null) {
    const copy = interleaved(pixels);
    distortColours(copy, distort, random);
    now = { ...now, pixels: copy };
  }
  if (expand !== null && random() < expand.probability)
    now = expanded(now, 1 + random() * (expand.most - 1), transform, emit, random);
  if (samplers.length > 0) {
    const part = drawPart(samplers, now.boxes, random);
    if (part !== null) now = { pixels: cut(now.pixels, part), boxes: projectBoxes(now.boxes, part, emit) };
  }
  if (resize === null) return now;
  const mode = resize.modes[randomInteger(random, resize.modes.length)]!;
  return { ...now, pixels: await resizeBy(now.pixels, resize, mode) };
}

/** DataTransformer::ExpandImage: places the image on a larger canvas of the mean. */
function expanded(
  { pixels, boxes }: Annotated,
  ratio: number,
  { meanValues }: Transform,
  emit: AnnotatedTransform['emit'],
  random: () => number,
): Annotated {
  const [width, height] = [Math.floor(pixels.width * ratio), Math.floor(pixels.height * ratio)];
  const left = randomInteger(random, width - pixels.width + 1);
  const top = randomInteger(random, height - pixels.height + 1);
  const source = interleaved(pixels);
  const channels = source.pixelStride;
  const rowStride = width * channels;
  const data = new Uint8Array(height * rowStride);
  for (let c = 0; c < channels && meanValues.length > 0; c++) {
    const mean = Math.round(meanValues[c] ?? meanValues[0]!);
    for (let i = c; i < data.length; i += channels) data[i] = mean;
  }
  for (let y = 0; y < pixels.height; y++)
    data.set(
      (source.data as Uint8Array).subarray(y * source.rowStride, (y + 1) * source.rowStride),
      (top + y) * rowStride + left * channels,
    );
  const part = {
    xmin: -left / pixels.width,
    ymin: -top / pixels.height,
    xmax: (width - left) / pixels.width,
    ymax: (height - top) / pixels.height,
  };
  return { pixels: { ...source, data, width, height, rowStride }, boxes: projectBoxes(boxes, part, emit) };
}

/** DataTransformer::CropImage, with at least one pixel. */
function cut(
  pixels: Pixels,
  { xmin, ymin, xmax, ymax }: { xmin: number; ymin: number; xmax: number; ymax: number },
): Pixels {
  const left = Math.min(Math.floor(xmin * pixels.width), pixels.width - 1);
  const top = Math.min(Math.floor(ymin * pixels.height), pixels.height - 1);
  const width = Math.min(Math.max(1, Math.floor((xmax - xmin) * pixels.width)), pixels.width - left);
  const height = Math.min(Math.max(1, Math.floor((ymax - ymin) * pixels.height)), pixels.height - top);
  return interleaved(cutPixels(pixels, { left, top, width, height }));
}

/** The boxes after crop_size and mirroring. */
function cutBoxes(
  boxes: readonly Annotation[],
  { width, height }: Pixels,
  { top, left, mirrored, size }: { top: number; left: number; mirrored: boolean; size: readonly number[] },
  { emit }: AnnotatedTransform,
): Annotation[] {
  const [rows = height, columns = width] = size;
  const part = {
    xmin: left / width,
    ymin: top / height,
    xmax: (left + columns) / width,
    ymax: (top + rows) / height,
  };
  const found = projectBoxes(boxes, part, emit);
  return mirrored ? mirrorBoxes(found) : found;
}
