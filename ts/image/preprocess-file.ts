/** A Preprocess as a JSON file; a mean image lies beside it as .binaryproto, which Caffe reads too. */

import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkFileSize, MAX_JSON_BYTES } from '../base/limits.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import { readBinaryproto } from '../caffe/caffemodel.ts';
import { writeBinaryproto } from '../caffe/write-caffemodel.ts';
import { wrongKindAt } from '../caffe/wrong-kind.ts';
import { ImageError } from '../errors.ts';
import type { Resize, Size } from './geometry.ts';
import type { Preprocess } from './preprocess.ts';

const FORMAT = 'resnode-preprocess/1';

/**
 * Writes `path` (and, for a mean image, `path` with `.mean.binaryproto` appended), each whole or not at all.
 * @throws the file system's error
 */
export function savePreprocess(path: string, preprocess: Preprocess): void {
  const { resize, crop, mean, order = 'BGR', scale = 1 } = preprocess;
  const meanFile = `${path}.mean.binaryproto`;
  const isImage = 'shape' in mean;
  if (isImage) {
    const shape = [...Array<number>(Math.max(0, 4 - mean.shape.length)).fill(1), ...mean.shape];
    writeBinaryproto(meanFile, blobFromFloats(shape, mean.data));
  }
  const content = {
    format: FORMAT,
    resize,
    crop,
    mean: isImage ? { file: basename(meanFile) } : mean,
    order,
    scale,
  };
  writeFileAtomically(path, [`${JSON.stringify(content, null, 2)}\n`]);
}

/** Reads what savePreprocess wrote. @throws ImageError naming the file, the field, what was found and expected */
export function loadPreprocess(path: string): Preprocess {
  const fail = (where: string, expected: string, found: unknown): never => {
    throw new ImageError(
      'image/preprocess',
      path,
      `${where}: expected ${expected}, found ${JSON.stringify(found) ?? 'nothing'}`,
    );
  };
  checkFileSize(path, MAX_JSON_BYTES, 'JSON files');
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    const wrong = wrongKindAt(path, 'preprocess');
    if (wrong !== null) throw new ImageError('image/wrong-kind', path, wrong);
    throw new ImageError('image/preprocess', path, `cannot be read (${(error as Error).message})`, {
      cause: error,
    });
  }
  if (typeof json !== 'object' || json === null || json.format !== FORMAT)
    return fail('format', `"${FORMAT}"`, json?.format);
  const known = ['format', 'resize', 'crop', 'mean', 'order', 'scale'];
  for (const key of Object.keys(json)) if (!known.includes(key)) fail(key, `one of ${known.join(', ')}`, key);
  const side = (where: string, value: unknown): number =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1 << 20
      ? (value as number)
      : fail(where, 'an integer from 1 to 1048576', value);
  const size = (where: string, value: unknown): Size => {
    const { width, height } = (value ?? {}) as Partial<Size>;
    return { width: side(`${where}.width`, width), height: side(`${where}.height`, height) };
  };
  const { resize, mean, order = 'BGR', scale = 1 } = json;
  return {
    resize:
      resize === null
        ? null
        : typeof resize === 'object' && 'shorterSide' in resize
          ? { shorterSide: side('resize.shorterSide', resize.shorterSide) }
          : (size('resize', resize) satisfies Resize),
    crop: size('crop', json.crop),
    mean: readMean(mean, path, fail),
    order: order === 'BGR' || order === 'RGB' ? order : fail('order', '"BGR" or "RGB"', order),
    scale:
      typeof scale === 'number' && Number.isFinite(scale) ? scale : fail('scale', 'a finite number', scale),
  };
}

function readMean(
  mean: unknown,
  path: string,
  fail: (where: string, expected: string, found: unknown) => never,
): Preprocess['mean'] {
  if (Array.isArray(mean)) {
    mean.forEach((value, i) => {
      if (!Number.isFinite(value)) fail(`mean[${i}]`, 'a finite number', value);
    });
    if (mean.length !== 1 && mean.length !== 3) fail('mean', '1 or 3 values', mean);
    return mean as number[];
  }
  const { file } = (mean ?? {}) as { file?: unknown };
  if (typeof file !== 'string' || file !== basename(file))
    return fail('mean', 'numbers, or { "file": NAME } of a .binaryproto in the same folder', mean);
  return readMeanImage(join(dirname(path), file));
}

/** Reads a mean image `[1,] channels × height × width` from a .binaryproto. @throws WeightsError, ImageError */
export function readMeanImage(file: string): Extract<Preprocess['mean'], { shape: unknown }> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const wrong = wrongKindAt(file, 'mean');
    if (wrong !== null) throw new ImageError('image/wrong-kind', file, wrong);
    throw new ImageError('image/mean', file, `cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
  const blob = readBinaryproto(bytes, { file });
  if (blob.shape.length < 3)
    throw new ImageError(
      'image/mean',
      file,
      `expected channels × height × width, found ${blob.shape.join('×')}`,
    );
  return { shape: blob.shape, data: toFloat32(blob) };
}
