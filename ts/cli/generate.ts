/** `resnode generate` */

import { join } from 'node:path';
import { Argument, Command } from 'commander';
import type { ResnetDepth } from '../architectures/resnet.ts';
import { type ResnetTrainingOptions, resnetTraining } from '../architectures/resnet-training.ts';
import { writeTrainingFiles } from '../architectures/training-files.ts';
import { flag, needed, own } from './flag.ts';

interface Flags extends Pick<ResnetTrainingOptions, 'classes' | 'channels' | 'size' | 'batch'> {
  depth: ResnetDepth;
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
  overwrite?: boolean;
  json?: boolean;
}

export function generate(): Command {
  return new Command()
    .addArgument(new Argument('<family>', 'what to train').choices(['resnet']))
    .addOption(needed(flag('resnetTraining', 'depth', '--depth <n>')))
    .addOption(needed(own('trainingFolder')))
    .addOption(own('overwrite'))
    .addOption(flag('resnetTraining', 'classes', '--classes <n>'))
    .addOption(flag('resnetTraining', 'train', '--train <lmdb>'))
    .addOption(flag('resnetTraining', 'test', '--test <lmdb>'))
    .addOption(flag('resnetTraining', 'testImages', '--test-images <n>'))
    .addOption(flag('resnetTraining', 'testBatch', '--test-batch <n>'))
    .addOption(flag('resnetTraining', 'batch', '--batch <n>'))
    .addOption(own('meanFile'))
    .addOption(own('meanOfDatabase'))
    .addOption(flag('resnetTraining', 'channels', '--channels <n>'))
    .addOption(flag('resnetTraining', 'size', '--size <n>'))
    .addOption(flag('resnetTraining', 'version', '--resnet-version <version>'))
    .addOption(flag('resnetTraining', 'shortcut', '--resnet-shortcut <kind>'))
    .addOption(flag('resnetTraining', 'seed', '--seed <n>'))
    .addOption(own('json'))
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
        overwrite = false,
        json,
        ...rest
      } = flags;
      const files = resnetTraining({
        ...rest,
        depth,
        version,
        shortcut,
        mean: mean ?? meanValue,
        net: join(out, 'train_val.prototxt'),
        prefix: join(out, `resnet${depth}`),
      });
      const paths = writeTrainingFiles(out, files, { overwrite });
      if (json) console.log(JSON.stringify({ files: paths }));
      else for (const path of paths) console.log(`wrote ${path}`);
    });
}
