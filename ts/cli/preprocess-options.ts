/** What the commands that read images share: how an image becomes a net's input. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../errors.ts';
import { IMAGE_FILE } from '../image/decode.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { loadPreprocess, readMeanImage } from '../image/preprocess-file.ts';
import { integer, numbers } from './options.ts';

export interface PreprocessFlags {
  mean?: string;
  meanValue?: number[];
  shorterSide: number;
  resize: boolean;
  preprocess?: string;
}

/** Adds --mean, --mean-value, --shorter-side, --no-resize and --preprocess. */
export function preprocessOptions(command: Command): Command {
  return command
    .option('--mean <binaryproto>', 'the mean image to subtract')
    .option('--mean-value <list>', 'or a mean per channel, in the order B,G,R', numbers)
    .option('--shorter-side <n>', 'resize the shorter side to this, then crop the centre', integer(1), 256)
    .option('--no-resize', 'take images as they are')
    .option('--preprocess <json>', 'all of this from a file that `resnode classify --save-preprocess` wrote');
}

/** @param crop The net's own input size. */
export function preprocessOf(flags: PreprocessFlags, crop: Preprocess['crop']): Preprocess {
  if (flags.preprocess !== undefined) return loadPreprocess(flags.preprocess);
  return {
    resize: flags.resize ? { shorterSide: flags.shorterSide } : null,
    crop,
    mean: flags.mean === undefined ? (flags.meanValue ?? [0]) : readMeanImage(flags.mean),
  };
}

/** Files as they are, folders as the images in them and below, sorted. @throws ArgumentError where there are none */
export function imageFiles(paths: readonly string[]): string[] {
  const files = paths.flatMap((path) => {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
    return (readdirSync(path, { recursive: true }) as string[])
      .filter((name) => IMAGE_FILE.test(name))
      .sort()
      .map((name) => join(path, name));
  });
  if (files.length === 0)
    throw new ArgumentError('images', 'image files, or folders with some', paths.join(', '));
  return files;
}
