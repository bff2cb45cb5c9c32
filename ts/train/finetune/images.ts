/** The images of a fine-tuning: which of them can be read, and how they are split. */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, ImageError } from '../../base/errors.ts';
import { warn } from '../../base/warn.ts';
import { decodeImage } from '../../images/decode.ts';
import type { Fact } from '../../images/evaluate/balance-text.ts';
import { readAhead } from '../../images/features/read-ahead.ts';
import { listImages } from '../../images/list-images.ts';
import { decodingOf } from '../../images/preprocess.ts';
import type { Recipe } from './files.ts';
import { type CompleteOptions, type FinetuneOptions, limitsOf } from './options.ts';
import { type Split, splitClassFolders, splitLabelLists } from './split.ts';

/**
 * Warns of classes without an image in one half: the net cannot learn them, or the evaluation says nothing about them.
 */
export function warnOfAbsent({ classes, train, val }: Split): void {
  for (const [images, what] of [
    [train, 'train with: the net cannot learn it'],
    [val, 'validate with: no figure can say how well the net finds it'],
  ] as const) {
    const there = new Set(images.flatMap(({ label, labels }) => labels ?? [label]));
    const absent = classes.filter((_, label) => !there.has(label)).map((name) => `"${name}"`);
    if (absent.length > 0)
      warn(
        'finetune/absent-class',
        `there is no image of ${absent.slice(0, 8).join(', ')}${absent.length > 8 ? ', …' : ''} to ${what}`,
      );
  }
}

/** The split of a folder with a folder for each class, or of a list. */
export function splitOf(
  { folder, labels, valShare }: FinetuneOptions,
  { seed }: Recipe,
  broken: ReadonlySet<string>,
): Promise<Split> {
  if (isLabelList(folder))
    return splitLabelLists(folder, { valShare, seed, broken, ...(labels === undefined ? {} : { labels }) });
  if (labels !== undefined)
    throw new ArgumentError(
      'labels',
      'none if each class has a folder of images, whose name is the label',
      labels,
    );
  return splitClassFolders(folder, { valShare, seed, broken });
}

const isLabelList = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true ||
  ['train.txt', 'val.txt'].every((name) => existsSync(join(path, name)));

/** Decodes all images of the folder if broken ones may be skipped, and returns the broken ones. */
export async function brokenImages({
  folder,
  onBroken,
  maxPixels,
  signal,
  preprocess,
}: CompleteOptions): Promise<Set<string>> {
  const broken = new Set<string>();
  if (onBroken === undefined) return broken;
  const decoding = {
    ...decodingOf(preprocess, limitsOf({ maxPixels })),
    ...(signal === undefined ? {} : { signal }),
  };
  const check = async (file: string): Promise<void> => {
    try {
      await decodeImage(file, decoding);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      broken.add(file);
      onBroken(error);
    }
  };
  const check4 = (part: readonly string[]) => Promise.all(part.map(check));
  const files = isLabelList(folder)
    ? await splitLabelLists(folder).then(({ train, val }) => [...train, ...val].map(({ image }) => image))
    : listImages(folder).files;
  for await (const _ of readAhead(files, 4, check4, signal));
  return broken;
}

export function imageRows({ classes, train, val, from, several }: Split): Fact[] {
  const count = (images: Split['train'], label: number) =>
    images.filter((each) => (each.labels ?? [each.label]).includes(label)).length;
  return [
    [
      'split',
      from === 'drawn' ? (several ? 'drawn' : 'random, the same share of each class') : `as in train and val`,
    ] as const,
    ['all classes', `${train.length} for training, ${val.length} for validation`] as const,
    ...classes.map((name, label) => [name, `${count(train, label)} and ${count(val, label)}`] as const),
  ];
}
