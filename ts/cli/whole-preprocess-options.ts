/** The preprocessing of whole images as options: either all are given, or they come from a file; they are never guessed. */
import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import type { Size } from '../images/geometry.ts';
import { loadWholePreprocess } from '../images/preprocess-file.ts';
import type { WholePreprocess, WholeResize } from '../images/whole.ts';
import { own } from './flag.ts';
import {
  givenFlags,
  type PreprocessFlags,
  preprocessFileOf,
  preprocessOptions,
  valuesOf,
} from './preprocess-options.ts';

export interface WholePreprocessFlags extends PreprocessFlags {
  longestSide?: number;
  pad?: Size;
}

/** Adds the options of `preprocessOptions`, with the sizes for whole images. */
export const wholePreprocessOptions = (command: Command): Command =>
  preprocessOptions(command, [
    own('wholeShorterSide'),
    own('longestSide'),
    own('wholeResize'),
    own('noResize'),
    own('pad'),
  ]);

/**
 * The preprocessing from the flags, from --preprocess, or from the file beside the model, which is named on stderr.
 * @throws ArgumentError if nothing sets the mean, or two options contradict each other; ImageError for files
 */
export function chooseWholePreprocess(flags: WholePreprocessFlags, model: string): WholePreprocess {
  const { longestSide, pad } = flags;
  const more = [
    ...(longestSide === undefined ? [] : ['--longest-side']),
    ...(pad === undefined ? [] : ['--pad']),
  ];
  const file = preprocessFileOf(flags, model, [...givenFlags(flags), ...more]);
  if (file !== null) {
    if (flags.preprocess === undefined) console.error(`resnode: preparing images according to ${file}`);
    return loadWholePreprocess(file);
  }
  const resize = resizeOf(flags);
  return {
    ...valuesOf(flags, model),
    ...(resize === undefined ? {} : { resize }),
    ...(pad === undefined ? {} : { pad }),
  };
}

/** Undefined: the default of the task. */
function resizeOf({ shorterSide, longestSide, resize }: WholePreprocessFlags): WholeResize | undefined {
  if (resize !== undefined && (shorterSide !== undefined || longestSide !== undefined))
    throw new ArgumentError(
      'the size',
      'either --shorter-side and --longest-side, or --resize, or --no-resize',
      'two of them',
    );
  if (resize !== undefined) return resize === false ? null : resize;
  if (shorterSide !== undefined && longestSide !== undefined) return { shorterSide, longestSide };
  if (shorterSide !== undefined) return { shorterSide };
  return longestSide === undefined ? undefined : { longestSide };
}
