/** Stores a Preprocess as a JSON file; a mean image is stored beside it as a .binaryproto, which Caffe also reads. */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { ImageError } from '../base/errors.ts';
import { path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { nearest } from '../base/suggest.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { readJsonFile } from '../caffe/json.ts';
import { writeBinaryproto } from '../caffe/write-caffemodel.ts';
import type { Resize, Size } from './geometry.ts';
import { readMeanImage } from './mean-file.ts';
import { type Preprocess, preprocess } from './preprocess.ts';
import { isWhole, type WholePreprocess, type WholeResize, wholePreprocess } from './whole.ts';
import { type Window, window as windowKind } from './window.ts';

const FORMAT = 'resnode-preprocess/1';

const SAVE_PREPROCESS = signature('savePreprocess', {
  path: required(path, 'The path of the file to write.'),
  preprocess: required(preprocess, 'The preprocessing to save.'),
});

/**
 * Writes `path` (and, for a mean image, `path` with `.mean.binaryproto` appended), each file completely or not at all.
 * docs/preprocess.md describes the fields. Commands find the file beside `NAME.prototxt` as `NAME.preprocess.json`.
 * @throws ResnodeError `file/write`
 * @example savePreprocess('ResNet-50-deploy.preprocess.json', msraPreprocess([103.063, 115.903, 123.152]));
 */
export function savePreprocess(path: string, preprocess: Preprocess): void {
  SAVE_PREPROCESS.check(path, preprocess);
  write(path, preprocess);
}

function write(path: string, preprocess: Preprocess | (WholePreprocess & { readonly crop: null })): void {
  const { resize, crop, mean, order = 'BGR', scale = 1 } = preprocess;
  const { interpolation, std, orientation, depth, window } = preprocess;
  const meanFile = `${path}.mean.binaryproto`;
  const isImage = 'shape' in mean;
  if (isImage) {
    const shape = [...Array<number>(Math.max(0, 4 - mean.shape.length)).fill(1), ...mean.shape];
    writeBinaryproto(meanFile, blobFromFloats(shape, mean.data));
  }
  const content = {
    ...{ format: FORMAT, resize, interpolation, crop },
    mean: isImage ? { file: basename(meanFile) } : mean,
    ...{ order, scale, std, orientation, depth, window },
    ...('pad' in preprocess ? { pad: preprocess.pad } : {}),
  };
  writeFileAtomically(path, [`${JSON.stringify(content, null, 2)}\n`]);
}

const SAVE_WHOLE_PREPROCESS = signature('saveWholePreprocess', {
  path: required(path, 'The path of the file to write.'),
  preprocess: required(wholePreprocess, 'The preprocessing to save.'),
});

/**
 * The same for nets that see whole images, detectors and segmenters: `crop` is null.
 * @throws ResnodeError `file/write`
 * @example saveWholePreprocess('ssd/preprocess.json', { resize: { width: 300, height: 300 }, mean: [127.5], scale: 1 / 127.5
 * });
 */
export function saveWholePreprocess(path: string, preprocess: WholePreprocess): void {
  SAVE_WHOLE_PREPROCESS.check(path, preprocess);
  write(path, { ...preprocess, crop: null });
}

/**
 * Writes a file of either kind.
 * @throws ResnodeError `file/write`
 */
export function saveAnyPreprocess(path: string, preprocess: Preprocess | WholePreprocess): void {
  if ('crop' in preprocess) savePreprocess(path, preprocess);
  else saveWholePreprocess(path, preprocess);
}

type Fail = (where: string, expected: string, found: unknown) => never;

const LOAD_PREPROCESS = signature('loadPreprocess', { path: required(path, 'The path of the file.') });

/**
 * Reads a file that savePreprocess wrote.
 * @throws ImageError that names the file, the field, what was found and what was expected
 * @example const preprocess = loadPreprocess('ants-and-bees/preprocess.json');
 */
export function loadPreprocess(path: string): Preprocess {
  LOAD_PREPROCESS.check(path);
  const { json, fail } = readPreprocess(path, FIELDS);
  if (json.crop === null)
    return fail(
      'crop.width',
      'an integer; a null crop, for whole images, belongs to detectors and segmenters: give the settings as options instead of the file (--resize WxH, the input of the net, --mean-value B,G,R, --scale …), in code a preprocess with a crop',
      null,
    );
  return {
    resize: json.resize === null ? null : readResize(json.resize, fail),
    crop: readSize('crop', json.crop, fail),
    ...readOthers(json, path, fail),
  };
}

const LOAD_WHOLE_PREPROCESS = signature('loadWholePreprocess', {
  path: required(path, 'The path of the file.'),
});

/**
 * Reads a file that saveWholePreprocess wrote, or one of savePreprocess whose crop removes nothing of the image.
 * @throws ImageError that names the file, the field, what was found and what was expected
 * @example const preprocess = loadWholePreprocess('ssd/preprocess.json');
 */
export function loadWholePreprocess(path: string): WholePreprocess {
  LOAD_WHOLE_PREPROCESS.check(path);
  const { json, fail } = readPreprocess(path, [...FIELDS, 'pad']);
  const { resize, crop, pad } = json;
  const whole: WholePreprocess = {
    ...(resize === undefined ? {} : { resize: resize === null ? null : readWholeResize(resize, fail) }),
    ...(pad === undefined ? {} : { pad: readSize('pad', pad, fail) }),
    ...readOthers(json, path, fail),
  };
  if (crop === null || crop === undefined || isWhole(whole.resize, readSize('crop', crop, fail)))
    return whole;
  return fail(
    'crop',
    'null, since detectors and segmenters see whole images (classifiers: resnode classify)',
    crop,
  );
}

/**
 * Reads a file of either kind.
 * @throws as loadPreprocess
 */
export function loadAnyPreprocess(path: string): Preprocess | WholePreprocess {
  const { json } = readPreprocess(path, [...FIELDS, 'pad']);
  return json.crop === null ? loadWholePreprocess(path) : loadPreprocess(path);
}

/** Reads the file and checks its format and field names. */
function readPreprocess(path: string, names: readonly string[]) {
  const fail: Fail = (where, expected, found) => {
    throw new ImageError(
      'image/preprocess',
      path,
      `${where}: expected ${expected}, found ${JSON.stringify(found) ?? 'nothing'}`,
    );
  };
  const json = readJsonFile(
    path,
    'preprocess',
    (found, cause, isWrongKind) =>
      new ImageError(isWrongKind ? 'image/wrong-kind' : 'image/preprocess', path, found, { cause }),
  ) as Record<string, unknown>;
  if (typeof json !== 'object' || json === null || json.format !== FORMAT)
    return fail('format', `"${FORMAT}"`, json?.format);
  checkNames(json, '', names, fail);
  return { json, fail };
}

/** All fields except the sizes. */
function readOthers(json: Record<string, unknown>, path: string, fail: Fail) {
  const choice = <T>(name: string, values: readonly T[]): { [key: string]: T } =>
    json[name] === undefined
      ? {}
      : values.includes(json[name] as T)
        ? { [name]: json[name] as T }
        : fail(name, values.map((value) => JSON.stringify(value)).join(' or '), json[name]);
  const { order = 'BGR', scale = 1, std, window } = json;
  const windowMistake = window === undefined ? null : windowKind.mistake(window);
  if (windowMistake !== null) fail('window', windowMistake.expected, window);
  const others: Omit<Preprocess, 'resize' | 'crop'> = {
    mean: readMean(json.mean, path, fail),
    order: order === 'BGR' || order === 'RGB' ? order : fail('order', '"BGR" or "RGB"', order),
    scale: isNumber(scale) && scale !== 0 ? scale : fail('scale', 'a finite number other than 0', scale),
    ...(std === undefined ? {} : { std: readStd(std, fail) }),
    ...choice('interpolation', ['bytes', 'float']),
    ...choice('orientation', ['applied', 'ignored']),
    ...choice('depth', [8, 16]),
    ...(window === undefined ? {} : { window: window as Window }),
  };
  if (others.depth === 16 && others.interpolation !== 'float')
    return fail('interpolation', '"float" with a depth of 16', json.interpolation);
  return others;
}

const FIELDS = [
  ...['format', 'resize', 'interpolation', 'crop', 'mean', 'order', 'scale', 'std', 'orientation'],
  ...['depth', 'window'],
] as const;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** @param path The path of the object within the file, with a dot at the end; empty for the file itself. */
function checkNames(json: object, path: string, names: readonly string[], fail: Fail): void {
  for (const name of Object.keys(json)) {
    if (names.includes(name)) continue;
    const hint = nearest(name, names);
    fail(`${path}${name}`, `${hint === undefined ? '' : `"${hint}"? `}one of ${names.join(', ')}`, name);
  }
}

function readSize(where: string, value: unknown, fail: Fail): Size {
  const side = (name: 'width' | 'height'): number => {
    const length = ((value ?? {}) as Partial<Size>)[name];
    return isSide(length) ? length : fail(`${where}.${name}`, 'an integer from 1 to 1048576', length);
  };
  const size = { width: side('width'), height: side('height') };
  checkNames(value as object, `${where}.`, ['width', 'height'], fail);
  return size;
}

const isSide = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1 << 20;

function readResize(value: unknown, fail: Fail): Resize {
  if (typeof value !== 'object' || value === null)
    return fail('resize', '{ "shorterSide": N }, { "width": N, "height": N } or null', value);
  if (!('shorterSide' in value)) return readSize('resize', value, fail);
  checkNames(value, 'resize.', ['shorterSide'], fail);
  const { shorterSide } = value;
  return isSide(shorterSide)
    ? { shorterSide }
    : fail('resize.shorterSide', 'an integer from 1 to 1048576', shorterSide);
}

function readWholeResize(value: unknown, fail: Fail): WholeResize {
  if (typeof value !== 'object' || value === null || !('longestSide' in value))
    return readResize(value, fail);
  checkNames(value, 'resize.', ['shorterSide', 'longestSide', 'multipleOf'], fail);
  const side = (name: string, length: unknown): number =>
    isSide(length) ? length : fail(`resize.${name}`, 'an integer from 1 to 1048576', length);
  const longest = {
    longestSide: side('longestSide', value.longestSide),
    ...('multipleOf' in value ? { multipleOf: side('multipleOf', value.multipleOf) } : {}),
  };
  return 'shorterSide' in value
    ? { shorterSide: side('shorterSide', value.shorterSide), ...longest }
    : longest;
}

function readStd(std: unknown, fail: Fail): number[] {
  if (!Array.isArray(std) || (std.length !== 1 && std.length !== 3)) return fail('std', '1 or 3 values', std);
  std.forEach((value, i) => {
    if (!isNumber(value) || value <= 0) fail(`std[${i}]`, 'a number above 0', value);
  });
  return std as number[];
}

function readMean(mean: unknown, path: string, fail: Fail): Preprocess['mean'] {
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
  checkNames(mean as object, 'mean.', ['file'], fail);
  return readMeanImage(join(dirname(path), file));
}

/** The preprocessing file beside a net: `NAME.preprocess.json`, or `preprocess.json`; null if there is none. */
export function preprocessBeside(model: string): string | null {
  const stem = basename(model, extname(model));
  const candidates = [`${stem}.preprocess.json`, 'preprocess.json'].map((name) => join(dirname(model), name));
  return candidates.find((path) => existsSync(path)) ?? null;
}
