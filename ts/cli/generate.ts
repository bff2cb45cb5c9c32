/** `resnode generate` */
import { join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import type { ResnetDepth } from '../architectures/resnet.ts';
import { type ResnetTrainingOptions, resnetTraining } from '../architectures/resnet-training.ts';
import { writeTrainingFiles } from '../architectures/training-files.ts';
import { integer, numbers } from './options.ts';

interface Flags extends Pick<ResnetTrainingOptions, 'classes' | 'channels' | 'size' | 'batch'> {
  depth: number;
  train?: string;
  test?: string;
  testImages?: number;
  testBatch?: number;
  mean?: string;
  meanValue?: number[];
  resnetVersion?: 'v1' | 'v1.5';
  resnetShortcut?: 'projection' | 'identity';
  seed?: number;
  out: string;
  json?: boolean;
}

export function generate(): Command {
  return new Command('generate')
    .description(
      "write the nets and the solver of a training, as the paper's, to be trained as they are or changed",
    )
    .addArgument(new Argument('<family>', 'what to train').choices(['resnet']))
    .requiredOption(
      '--depth <n>',
      "18, 34, 50, 101, 152: ImageNet's schedule; 20, 32, 44, 56, 110, 1202: CIFAR's",
      integer(1),
    )
    .requiredOption(
      '--out <folder>',
      'where the files go: deploy, train_val, solver .prototxt and augment.json',
    )
    .option('--classes <n>', "classes (default: ImageNet's 1000, CIFAR's 10)", integer(1))
    .option('--train <lmdb>', 'the database that is trained with (default: as the example of Caffe names it)')
    .option('--test <lmdb>', 'the database that is tested with')
    .option('--test-images <n>', 'how many images that has (default: 50000, CIFAR 10000)', integer(1))
    .option('--test-batch <n>', 'images in one pass of a test (default: 50, CIFAR 100)', integer(1))
    .option(
      '--batch <n>',
      "images in one pass; iter_size makes the paper's batch of 256, CIFAR 128",
      integer(1),
    )
    .option('--mean <binaryproto>', 'the mean image to subtract')
    .option('--mean-value <list>', "or a mean per channel, in the database's order", numbers)
    .option('--channels <n>', 'channels of the images (default: 3)', integer(1))
    .option('--size <n>', 'height and width that the net takes (default: 224, CIFAR 32)', integer(1))
    .addOption(
      new Option('--resnet-version <version>', "where a bottleneck's stride is").choices(['v1', 'v1.5']),
    )
    .addOption(
      new Option('--resnet-shortcut <kind>', 'shortcuts where the shape changes').choices([
        'projection',
        'identity',
      ]),
    )
    .option('--seed <n>', 'of the initial weights and the order of the images', integer(0))
    .option('--json', 'print the names of the files as JSON')
    .addHelpText(
      'after',
      `
Paths in the files begin at the working folder, as Caffe takes them.

Examples:
  resnode generate resnet --depth 20 --train cifar10_train_lmdb --test cifar10_test_lmdb --out runs/resnet20
  resnode generate resnet --depth 50 --batch 32 --out runs/resnet50
  resnode generate resnet --depth 18 --classes 12 --train flowers_lmdb --test flowers_val_lmdb --test-images 1200 \\
    --out runs/flowers`,
    )
    .action((_family: string, flags: Flags) => {
      const {
        depth,
        mean,
        meanValue,
        resnetVersion: version,
        resnetShortcut: shortcut,
        out,
        json,
        ...rest
      } = flags;
      const files = resnetTraining({
        ...rest,
        depth: depth as ResnetDepth,
        version,
        shortcut,
        mean: mean ?? meanValue,
        net: join(out, 'train_val.prototxt'),
        prefix: join(out, `resnet${depth}`),
      });
      const paths = writeTrainingFiles(out, files);
      if (json) console.log(JSON.stringify({ files: paths }));
      else for (const path of paths) console.log(`wrote ${path}`);
    });
}
