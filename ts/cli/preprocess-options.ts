/** The preprocessing of images as options: either all are given, or they come from a file; they are never guessed. */
import type { Command } from 'commander';
import { InWords, NOTHING } from '../base/describe.ts';
import { ArgumentError } from '../base/errors.ts';
import type { DecodeLimits } from '../images/decode.ts';
import type { Size } from '../images/geometry.ts';
import { readMean } from '../images/mean-file.ts';
import type { Preprocess } from '../images/preprocess.ts';
import { loadPreprocess, preprocessBeside } from '../images/preprocess-file.ts';
import type { Window } from '../images/window.ts';
import { type Flag, flag, group, own } from './flag.ts';

export interface PreprocessFlags {
  mean?: string;
  meanValue?: number[];
  order?: 'BGR' | 'RGB';
  scale?: number;
  std?: number[];
  shorterSide?: number;
  /** false for --no-resize. */
  resize?: Size | false;
  interpolation?: 'bytes' | 'float';
  orientation?: 'applied' | 'ignored';
  depth?: 8 | 16;
  window?: Window;
  preprocess?: string;
  maxPixels?: number;
}

/** The flag of each option that a preprocess file can also set. */
const FLAGS = {
  mean: '--mean',
  meanValue: '--mean-value',
  order: '--order',
  scale: '--scale',
  std: '--std',
  shorterSide: '--shorter-side',
  resize: '--resize',
  interpolation: '--interpolation',
  orientation: '--orientation',
  depth: '--depth',
  window: '--window',
} as const;

/** The names of commander's attributes for the fields of a preprocess file. */
export const PREPROCESS_ATTRIBUTES: string[] = Object.keys(FLAGS);

/**
 * Adds --mean, --mean-value, --preprocess and all other flags for preparing images, and --max-pixels.
 * @param sizes The flags that set the size.
 */
export function preprocessOptions(
  command: Command,
  sizes: readonly Flag[] = [own('shorterSide'), own('resize'), own('noResize')],
): Command {
  return group(
    command,
    'How images are prepared:',
    own('mean'),
    own('meanValue'),
    own('preprocess'),
    flag('preprocessImage', 'preprocess.order', '--order <order>'),
    flag('preprocessImage', 'preprocess.scale', '--scale <factor>'),
    flag('preprocessImage', 'preprocess.std', '--std <list>'),
    ...sizes,
    flag('preprocessImage', 'preprocess.interpolation', '--interpolation <kind>'),
    flag('preprocessImage', 'preprocess.orientation', '--orientation <how>'),
    flag('preprocessImage', 'preprocess.depth', '--depth <bits>'),
    flag('preprocessImage', 'preprocess.window', '--window <centre,width>'),
    maxPixelsOption(),
  );
}

/** --max-pixels. */
export const maxPixelsOption = () => flag('decodeImage', 'maxPixels', '--max-pixels <n>');

export const limitsOf = ({ maxPixels }: Pick<PreprocessFlags, 'maxPixels'>): DecodeLimits =>
  maxPixels === undefined ? {} : { maxPixels };

/** A preprocessing that is complete except for the net's input size. */
export interface ChosenPreprocess {
  /** The file that it was read from; null if it came from options. */
  readonly file: string | null;
  /**
   * @param crop The net's input size.
   * @throws ArgumentError if the file was made for another size
   */
  for(crop: Size): Preprocess;
}

/**
 * The preprocessing from the flags, from --preprocess, or from the file beside the model, which is named on stderr.
 * @throws ArgumentError if nothing sets the mean, or two options contradict each other; ImageError for files
 */
export function choosePreprocess(flags: PreprocessFlags, model: string): ChosenPreprocess {
  const file = preprocessFileOf(flags, model, givenFlags(flags));
  if (file === null) return { file, for: (crop) => preprocessOfFlags(flags, crop, model) };
  const preprocess = loadPreprocess(file);
  return {
    file,
    for(crop) {
      if (flags.preprocess === undefined) console.error(`resnode: preparing images according to ${file}`);
      const { width, height } = preprocess.crop;
      if (width === crop.width && height === crop.height) return preprocess;
      throw new ArgumentError(
        `the crop of ${file}`,
        `the net's input, ${crop.width}×${crop.height}`,
        `${width}×${height}: was it made for another net?`,
      );
    },
  };
}

/** The preprocessing flags that are given. */
export const givenFlags = (flags: PreprocessFlags): string[] =>
  Object.entries(FLAGS).flatMap(([name, flag]) =>
    flags[name as keyof typeof FLAGS] === undefined ? [] : [flag],
  );

/**
 * The file with all settings; null if flags give them.
 * @throws ArgumentError if both do
 */
export function preprocessFileOf(
  { preprocess }: PreprocessFlags,
  model: string,
  given: readonly string[],
): string | null {
  if (preprocess !== undefined && given.length > 0)
    throw new ArgumentError(
      'preprocessing',
      'either --preprocess, which contains all settings, or options',
      new InWords(`--preprocess with ${given.join(', ')}`),
    );
  return preprocess ?? (given.length === 0 ? preprocessBeside(model) : null);
}

/**
 * @param crop The net's input size.
 * @throws as choosePreprocess
 */
export const preprocessOf = (flags: PreprocessFlags, crop: Size, model: string): Preprocess =>
  choosePreprocess(flags, model).for(crop);

function meanOf({ mean, meanValue }: PreprocessFlags, fileBeside: string | null): Preprocess['mean'] {
  if (mean !== undefined && meanValue !== undefined)
    throw new ArgumentError('the mean', 'either --mean or --mean-value', 'both');
  if (mean === 'none') return [0];
  if (mean !== undefined) return readMean(mean);
  if (meanValue !== undefined) return meanValue;
  throw new ArgumentError(
    'the mean',
    'the one that the net was trained with: --mean FILE, --mean-value B,G,R (MSRA: 103.063,115.903,123.152), --mean none, or --preprocess FILE',
    NOTHING,
    fileBeside === null ? undefined : `${fileBeside} has one, but is not used together with other options`,
  );
}

function preprocessOfFlags(flags: PreprocessFlags, crop: Size, model: string): Preprocess {
  const { shorterSide, resize } = flags;
  if (shorterSide !== undefined && resize !== undefined)
    throw new ArgumentError('the size', 'one of --shorter-side, --resize and --no-resize', 'two of them');
  return {
    resize:
      resize === false
        ? null
        : (resize ?? {
            shorterSide: shorterSide ?? Math.round((Math.min(crop.width, crop.height) * 256) / 224),
          }),
    crop,
    ...valuesOf(flags, model),
  };
}

/**
 * All settings except the size.
 * @throws ArgumentError if nothing sets the mean, or two flags contradict each other
 */
export function valuesOf(flags: PreprocessFlags, model: string): Omit<Preprocess, 'resize' | 'crop'> {
  const mean = meanOf(flags, preprocessBeside(model));
  const { order, scale, std, interpolation, orientation, depth, window } = flags;
  if (depth === 16 && interpolation !== 'float')
    throw new ArgumentError('--depth 16', '--interpolation float', interpolation ?? 'none');
  checkUnits(mean, scale, std);
  return {
    mean,
    ...(order === undefined ? {} : { order }),
    ...(scale === undefined ? {} : { scale }),
    ...(std === undefined ? {} : { std }),
    ...(interpolation === undefined ? {} : { interpolation }),
    ...(orientation === undefined ? {} : { orientation }),
    ...(depth === undefined ? {} : { depth }),
    ...(window === undefined ? {} : { window }),
  };
}

/**
 * Rejects a mean or deviation for pixels from 0 to 1, which PyTorch's users have; it would hardly change pixels up to 255.
 */
function checkUnits(mean: Preprocess['mean'], scale = 1, std: readonly number[] = []): void {
  const of255 = (values: readonly number[]) =>
    values.map((value) => Number((255 * value).toPrecision(6))).join(',');
  if (!('shape' in mean) && mean.some((value) => value !== 0) && mean.every((value) => Math.abs(value) < 1))
    throw new ArgumentError('--mean-value', `means of pixels from 0 to 255 (${of255(mean)}?)`, mean);
  if (scale >= 0.5 && std.length > 0 && std.every((value) => value < 1))
    throw new ArgumentError(
      '--std',
      `deviations of pixels from 0 to 255 (${of255(std)}?), or --scale 0.00392157 beside it`,
      std,
    );
}
