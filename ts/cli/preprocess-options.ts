/** How an image becomes a net's input, as options: all given, or from a file; never guessed. */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError } from '../errors.ts';
import type { DecodeLimits } from '../image/decode.ts';
import type { Size } from '../image/geometry.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { loadPreprocess, readMeanImage } from '../image/preprocess-file.ts';
import { integer, numbers } from './options.ts';

export interface PreprocessFlags {
  mean?: string;
  meanValue?: number[];
  order?: 'BGR' | 'RGB';
  scale?: number;
  std?: number[];
  shorterSide?: number;
  /** false: --no-resize. */
  resize?: Size | false;
  interpolation?: 'bytes' | 'float';
  orientation?: 'applied' | 'ignored';
  depth?: '8' | '16';
  preprocess?: string;
  maxPixels?: number;
}

/** Flag of each option that a preprocess file says too. */
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
} as const;

/** Attribute names of what a preprocess file says. */
export const PREPROCESS_ATTRIBUTES: string[] = Object.keys(FLAGS);

/** Adds --mean, --mean-value, --preprocess and all else that says how images are prepared; and --max-pixels. */
export function preprocessOptions(command: Command): Command {
  return command
    .option('--mean <file>', 'the mean image to subtract (.binaryproto), or none')
    .option(
      '--mean-value <list>',
      'or a mean of pixels from 0 to 255: one a channel, in the order B,G,R (--order)',
      numbers,
    )
    .option(
      '--preprocess <json>',
      'all of this from a file that `resnode classify --save-preprocess` wrote (default: NAME.preprocess.json or preprocess.json beside the model, where no other option of preprocessing is given)',
    )
    .addOption(
      new Option(
        '--order <order>',
        "the channels' order, that of --mean-value and --std too (default: BGR)",
      ).choices(['BGR', 'RGB']),
    )
    .option('--scale <factor>', 'multiplied after the mean was subtracted (default: 1)', factor)
    .option(
      '--std <list>',
      'divided by after the mean was subtracted: one value, or one a channel',
      deviations,
    )
    .option(
      '--shorter-side <n>',
      "resize the shorter side to this, then crop the centre (default: 256/224 of the net's input, 256 for 224)",
      integer(1),
    )
    .option('--resize <width>x<height>', 'resize to exactly this, aspect lost, then crop the centre', size)
    .option('--no-resize', 'take images as they are')
    .addOption(
      new Option(
        '--interpolation <kind>',
        "resize in bytes, as OpenCV, or in floats, as caffe.io's Transformer (default: bytes)",
      ).choices(['bytes', 'float']),
    )
    .addOption(
      new Option(
        '--orientation <how>',
        "whether EXIF's orientation turns an image (default: applied)",
      ).choices(['applied', 'ignored']),
    )
    .addOption(
      new Option(
        '--depth <bits>',
        'of images with 16 bits; 16 needs --interpolation float (default: 8)',
      ).choices(['8', '16']),
    )
    .addOption(maxPixelsOption());
}

export const maxPixelsOption = (): Option =>
  new Option('--max-pixels <n>', 'refuse images of more pixels (default: 67108864, 8192×8192)').argParser(
    integer(1),
  );

/** Adds --skip-broken. */
export const skipBrokenOption = (): Option =>
  new Option('--skip-broken', 'leave out images that cannot be read: each is named, all are counted');

export const limitsOf = ({ maxPixels }: Pick<PreprocessFlags, 'maxPixels'>): DecodeLimits =>
  maxPixels === undefined ? {} : { maxPixels };

/** A way to prepare images that is complete but for the net's input size. */
export interface ChosenPreprocess {
  /** Where it was read; null: it was given as options. */
  readonly file: string | null;
  /** @param crop The net's own input size. @throws ArgumentError where a file was made for another */
  for(crop: Size): Preprocess;
}

/**
 * The preprocessing of the flags, of --preprocess, or of the file beside the model, which is named on stderr.
 * @throws ArgumentError where nothing says the mean, or two options contradict each other; ImageError for files
 */
export function choosePreprocess(flags: PreprocessFlags, model: string): ChosenPreprocess {
  const given = Object.entries(FLAGS).flatMap(([name, flag]) =>
    flags[name as keyof typeof FLAGS] === undefined ? [] : [flag],
  );
  if (flags.preprocess !== undefined && given.length > 0)
    throw new ArgumentError(
      'preprocessing',
      'either --preprocess, which says all of it, or options',
      `--preprocess with ${given.join(', ')}`,
    );
  const beside = fileBeside(model);
  const file = flags.preprocess ?? (given.length === 0 ? beside : null);
  if (file === null) return { file, for: (crop) => preprocessOfFlags(flags, crop, meanOf(flags, beside)) };
  const preprocess = loadPreprocess(file);
  return {
    file,
    for(crop) {
      if (flags.preprocess === undefined) console.error(`resnode: images are prepared as ${file} says`);
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

/** @param crop The net's own input size. @throws as choosePreprocess */
export const preprocessOf = (flags: PreprocessFlags, crop: Size, model: string): Preprocess =>
  choosePreprocess(flags, model).for(crop);

function fileBeside(model: string): string | null {
  const stem = basename(model, extname(model));
  const candidates = [`${stem}.preprocess.json`, 'preprocess.json'].map((name) => join(dirname(model), name));
  return candidates.find((path) => existsSync(path)) ?? null;
}

function meanOf({ mean, meanValue }: PreprocessFlags, beside: string | null): Preprocess['mean'] {
  if (mean !== undefined && meanValue !== undefined)
    throw new ArgumentError('the mean', 'either --mean or --mean-value', 'both');
  if (mean === 'none') return [0];
  if (mean !== undefined) return readMeanImage(mean);
  if (meanValue !== undefined) return meanValue;
  throw new ArgumentError(
    'the mean',
    'what the net was trained with: --mean FILE, --mean-value B,G,R (MSRA: 103.063,115.903,123.152), --mean none, or --preprocess FILE',
    beside === null
      ? 'none of them'
      : `none of them (${beside} says it, but is not read where other options are given)`,
  );
}

function preprocessOfFlags(flags: PreprocessFlags, crop: Size, mean: Preprocess['mean']): Preprocess {
  const { order, scale, std, shorterSide, resize, interpolation, orientation, depth } = flags;
  if (shorterSide !== undefined && resize !== undefined)
    throw new ArgumentError('the size', 'one of --shorter-side, --resize and --no-resize', 'two of them');
  if (depth === '16' && interpolation !== 'float')
    throw new ArgumentError('--depth 16', '--interpolation float', interpolation ?? 'none');
  checkUnits(mean, scale, std);
  return {
    resize:
      resize === false
        ? null
        : (resize ?? {
            shorterSide: shorterSide ?? Math.round((Math.min(crop.width, crop.height) * 256) / 224),
          }),
    crop,
    mean,
    ...(order === undefined ? {} : { order }),
    ...(scale === undefined ? {} : { scale }),
    ...(std === undefined ? {} : { std }),
    ...(interpolation === undefined ? {} : { interpolation }),
    ...(orientation === undefined ? {} : { orientation }),
    ...(depth === undefined ? {} : { depth: depth === '16' ? 16 : 8 }),
  };
}

/** A mean or deviation of pixels from 0 to 1, as PyTorch's users write them, would do nothing to pixels up to 255. */
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

/** `256x256`. */
export function size(text: string): Size {
  const [, width, height] = /^(\d{1,5})[x×](\d{1,5})$/.exec(text)?.map(Number) ?? [];
  if (!width || !height) throw new InvalidArgumentError('Expected WIDTHxHEIGHT, e.g. 256x256.');
  return { width, height };
}

function factor(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value === 0)
    throw new InvalidArgumentError('Expected a number other than 0.');
  return value;
}

function deviations(text: string): number[] {
  const values = numbers(text);
  if (!values.every((value) => value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError('Expected numbers above 0 with commas between them.');
  return values;
}
