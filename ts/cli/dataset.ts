/** `resnode dataset` writes images to LMDB as Caffe's converters do, and computes mean images. */

import { statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { convertAnnotatedImages } from '../data/convert-annotated.ts';
import { convertImages, convertRawImages, type NamedImage } from '../data/convert-dataset.ts';
import { readImageList } from '../data/image-list.ts';
import type { ConvertDatasetOptions, ConvertImagesOptions } from '../data/image-records.ts';
import { meanOfImages, writeMeanImage } from '../data/mean-image.ts';
import { type RawImages, readCifar, readIdx } from '../data/raw-images.ts';
import { readAnnotatedImages } from '../images/evaluate/boxes/annotated-images.ts';
import { listClassFolders, readLabelledImages } from '../images/evaluate/dataset.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { sayIgnored } from './image-files.ts';
import { limitsOf, maxPixelsOption } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';

interface Flags extends ProgressFlags {
  shuffle?: boolean;
  seed: number;
  out: string;
  json?: boolean;
}

export function dataset(): Command {
  const command = new Command();
  for (const sub of [idx(), cifar(), images(), annotated(), mean()]) command.addCommand(sub);
  return command;
}

function idx(): Command {
  return converter('idx', "MNIST's or Fashion-MNIST's files (.gz or not)")
    .argument('<images>', 'train-images-idx3-ubyte.gz or the like')
    .addOption(needed(own('outLmdb')))
    .addOption(own('idxLabels'))
    .addHelpText(
      'after',
      `
Example:
  resnode dataset idx /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz --out train.lmdb --shuffle`,
    )
    .action(async (images: string, flags: Flags & { labels?: string }) =>
      writeRaw(await readIdx(images, flags.labels), flags.out, 8, flags),
    );
}

function cifar(): Command {
  return converter(
    'cifar',
    "CIFAR-10's binary batches; planes B, G, R, as images have them (convert_cifar_data: --order RGB)",
  )
    .argument('<batches...>', 'data_batch_*.bin and the like')
    .addOption(needed(own('outLmdb')))
    .addOption(flag('convertRawImages', 'order', '--order <order>', 'BGR'))
    .addOption(own('cifar100'))
    .addHelpText(
      'after',
      `
Example:
  resnode dataset cifar data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin --out train.lmdb`,
    )
    .action(async (batches: string[], flags: Flags & { cifar100?: boolean; order: 'BGR' | 'RGB' }) =>
      writeRaw(await readCifar(batches, flags.cifar100 ? 2 : 1), flags.out, 5, flags, flags.order),
    );
}

function images(): Command {
  const command = converter('images', 'image files with their labels')
    .argument(
      '<list>',
      'a list with "path label" lines, or a folder with a folder for each class (sorted: 0, 1, …)',
    )
    .addOption(needed(own('outLmdb')))
    .addOption(own('root'));
  return imageOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  resnode dataset images train.txt --out train.lmdb --root ILSVRC2012/train/ --shuffle --encoded
  resnode dataset images photos/train --out train.lmdb --resize 256x256 --shuffle`,
    )
    .action(async (list: string, flags: ImagesFlags) => {
      const { images, classes } = await listedImages(list, flags.root);
      const written = await writtenImages(flags, images.length, (options) =>
        convertImages(images, flags.out, options),
      );
      report(written, flags.out, flags, classes);
    });
}

function annotated(): Command {
  const command = converter('annotated', "images with boxes, for AnnotatedData (SSD's create_annoset)")
    .argument(
      '<annotations>',
      'a folder of PASCAL VOC\'s .xml files, COCO\'s .json, or a list with "image annotation" lines (.xml, .json, .txt)',
    )
    .addOption(needed(own('outLmdb')))
    .addOption(needed(own('labelMap')))
    .addOption(own('rootOfImages'));
  return imageOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  resnode dataset annotated VOCdevkit/VOC2007/Annotations --labels labelmap_voc.prototxt --out trainval.lmdb --encoded --shuffle
  resnode dataset annotated instances_val2017.json --root val2017 --labels labelmap_coco.prototxt --out val.lmdb --encoded
  resnode dataset annotated trainval.txt --root VOCdevkit --labels labelmap_voc.prototxt --out trainval.lmdb --encoded`,
    )
    .action(async (annotations: string, flags: ImagesFlags & { labels: string }) => {
      const { root, out, json } = flags;
      const images = readAnnotatedImages(annotations, flags.labels, root === undefined ? {} : { root });
      const written = await writtenImages(flags, images.length, (options) =>
        convertAnnotatedImages(images, out, options),
      );
      const boxes = images.reduce((sum, { objects }) => sum + objects.length, 0);
      if (json) console.log(JSON.stringify({ out, images: written, boxes }));
      else console.log(`${out}: ${written} images, ${boxes} boxes`);
    });
}

/** Options of the image files that become records. */
const imageOptions = (command: Command): Command =>
  command
    .addOption(flag('convertImages', 'resize', '--resize <width>x<height>'))
    .addOption(flag('convertImages', 'gray', '--gray'))
    .addOption(flag('convertImages', 'encoded', '--encoded'))
    .addOption(maxPixelsOption())
    .addOption(own('skipBroken'))
    .addOption(flag('convertImages', 'encodeType', '--encode-type <type>'))
    .addOption(flag('convertImages', 'checkSize', '--check-size'));

/** Writes image files as records and reports broken ones. */
async function writtenImages(
  flags: ImagesFlags,
  count: number,
  convert: (options: ConvertImagesOptions) => Promise<number>,
): Promise<number> {
  const { resize, gray = false, encoded = false, encodeType, checkSize = false } = flags;
  const broken = new BrokenImages(flags);
  const written = await shown(flags, (onProgress) =>
    convert({
      ...convertOptions(flags, onProgress),
      ...limitsOf(flags),
      onBroken: broken.onBroken,
      gray,
      encoded,
      checkSize,
      ...(resize === undefined ? {} : { resize }),
      ...(encodeType === undefined ? {} : { encodeType }),
    }),
  );
  broken.end(count);
  return written;
}

interface ImagesFlags extends Flags {
  root?: string;
  resize?: { width: number; height: number };
  gray?: boolean;
  encoded?: boolean;
  encodeType?: 'jpg' | 'png';
  checkSize?: boolean;
  maxPixels?: number;
  skipBroken?: boolean;
}

function mean(): Command {
  return new Command('mean')
    .description("write the mean image of an LMDB, for transform_param's mean_file (compute_image_mean)")
    .argument('<lmdb>', 'a folder with data.mdb')
    .addOption(needed(own('outMean')))
    .addOption(own('progress'))
    .addOption(own('json'))
    .addHelpText('after', '\nExample:\n  resnode dataset mean train.lmdb --out mean.binaryproto')
    .action(async (lmdb: string, flags: ProgressFlags & { out: string; json?: boolean }) => {
      const { out, json } = flags;
      const result = await shown(flags, (onProgress) => meanOfImages(lmdb, { onProgress }));
      writeMeanImage(out, result);
      const { shape, channels, images: count } = result;
      if (json) console.log(JSON.stringify({ out, shape, channels, images: count }));
      else
        console.log(
          `${out}: ${shape.join('×')}, of ${count} images; mean of each channel ${channels.map((value) => value.toFixed(3)).join(', ')}`,
        );
    });
}

function converter(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(own('shuffle'))
    .addOption(own('shuffleSeed', 1))
    .addOption(own('progress'))
    .addOption(own('json'));
}

const convertOptions = ({ shuffle, seed }: Flags, onProgress: ShowProgress): ConvertDatasetOptions => ({
  onProgress,
  ...(shuffle ? { shuffle: seed } : {}),
});

type ShowProgress = (done: number, total: number) => void;

/** Runs `work` and shows its progress. */
async function shown<T>(flags: ProgressFlags, work: (onProgress: ShowProgress) => Promise<T>): Promise<T> {
  let progress: Progress | null = null;
  try {
    return await work((done, total) => {
      progress ??= new Progress('images', total, flags);
      progress.update(done);
    });
  } finally {
    (progress as Progress | null)?.end();
  }
}

async function writeRaw(
  images: RawImages,
  lmdb: string,
  digits: number,
  flags: Flags,
  order?: 'BGR' | 'RGB',
): Promise<void> {
  const count = await shown(flags, (onProgress) =>
    convertRawImages(images, lmdb, digits, {
      ...convertOptions(flags, onProgress),
      ...(order === undefined ? {} : { order }),
    }),
  );
  report(count, lmdb, flags);
}

function report(count: number, lmdb: string, { json }: Flags, classes?: readonly FoundClass[]): void {
  if (json) {
    console.log(JSON.stringify({ out: lmdb, images: count, ...(classes === undefined ? {} : { classes }) }));
    return;
  }
  console.log(`${lmdb}: ${count} images`);
  for (const { label, name, images } of (classes ?? []).slice(0, SHOWN))
    console.log(
      `  class ${label}${name === null ? '' : ` ${name}`}: ${images} ${images === 1 ? 'image' : 'images'}`,
    );
  if (classes !== undefined && classes.length > SHOWN)
    console.log(`  … and ${classes.length - SHOWN} more classes (--json has all)`);
}

/** The number of classes that are printed. */
const SHOWN = 20;

interface FoundClass {
  readonly label: number;
  /** Null for a list, whose classes have no names. */
  readonly name: string | null;
  /** The number of images found, including unreadable ones. */
  readonly images: number;
}

async function listedImages(
  path: string,
  root: string | undefined,
): Promise<{ images: NamedImage[]; classes: FoundClass[] }> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    const { folders, ignored } = listClassFolders(path);
    sayIgnored(path, ignored);
    const { files } = readLabelledImages(path, { classes: folders.length });
    return {
      images: files.map(({ image, label }) => ({ path: image, label, name: relative(path, image) })),
      classes: folders.map(({ name, files: own }, label) => ({ label, name, images: own.length })),
    };
  }
  const folder = root ?? dirname(path);
  const lines = await readImageList(path, { negative: false });
  const counts = new Map<number, number>();
  for (const { label } of lines) counts.set(label, (counts.get(label) ?? 0) + 1);
  return {
    images: lines.map(({ path: name, label }) => ({ name, label, path: resolve(folder, name) })),
    classes: [...counts]
      .map(([label, images]) => ({ label, name: null, images }))
      .sort((one, other) => one.label - other.label),
  };
}
