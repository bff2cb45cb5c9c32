/** `resnode generate` */

import { Argument, Command } from 'commander';
import { FAMILY_NAMES } from '../architectures/families.ts';
import { architectures } from '../architectures/list.ts';
import type { ResnetOptions } from '../architectures/resnet.ts';
import { type ResnetTrainingOptions, resnetTraining } from '../architectures/resnet-training.ts';
import { writeTrainingFiles } from '../architectures/training-files.ts';
import { elementCount } from '../base/shape.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { flag, own } from './flag.ts';
import { tableLines } from './table.ts';

interface Flags
  extends Omit<
    ResnetTrainingOptions,
    'name' | 'family' | 'mean' | 'version' | 'shortcut' | 'folder' | 'net' | 'prefix'
  > {
  mean?: string;
  meanValue?: number[];
  resnetVersion?: ResnetOptions['version'];
  resnetShortcut?: ResnetOptions['shortcut'];
  out?: string;
  overwrite?: boolean;
  list?: boolean;
  json?: boolean;
}

export function generate(): Command {
  return new Command()
    .addArgument(
      new Argument(
        '[architecture]',
        `a family (${FAMILY_NAMES.join(', ')}), or with depth and width: resnet-110, wrn-28-10, resnext-50-32x4d`,
      ),
    )
    .addOption(own('trainingFolder'))
    .addOption(own('overwrite'))
    .addOption(own('listArchitectures'))
    .addOption(flag('resnetTraining', 'depth', '--depth <n>'))
    .addOption(flag('resnetTraining', 'blocks', '--blocks <list>'))
    .addOption(flag('resnetTraining', 'block', '--block <kind>'))
    .addOption(flag('resnetTraining', 'data', '--data <set>'))
    .addOption(flag('resnetTraining', 'stem', '--stem <kind>'))
    .addOption(flag('resnetTraining', 'version', '--resnet-version <version>'))
    .addOption(flag('resnetTraining', 'shortcut', '--resnet-shortcut <kind>'))
    .addOption(flag('resnetTraining', 'widen', '--widen <factor>'))
    .addOption(flag('resnetTraining', 'groups', '--groups <n>'))
    .addOption(flag('resnetTraining', 'groupWidth', '--group-width <n>'))
    .addOption(flag('resnetTraining', 'squeeze', '--squeeze <ratio>'))
    .addOption(flag('resnetTraining', 'dropout', '--dropout <share>'))
    .addOption(flag('resnetTraining', 'classes', '--classes <n>'))
    .addOption(flag('resnetTraining', 'channels', '--channels <n>'))
    .addOption(flag('resnetTraining', 'size', '--size <n>'))
    .addOption(flag('resnetTraining', 'train', '--train <lmdb>'))
    .addOption(flag('resnetTraining', 'test', '--test <lmdb>'))
    .addOption(flag('resnetTraining', 'testImages', '--test-images <n>'))
    .addOption(flag('resnetTraining', 'testBatch', '--test-batch <n>'))
    .addOption(flag('resnetTraining', 'batch', '--batch <n>'))
    .addOption(own('meanFile'))
    .addOption(own('meanOfDatabase'))
    .addOption(flag('resnetTraining', 'seed', '--seed <n>'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Paths in the files begin at the working folder, as Caffe takes them. README.md in the folder has the commands that train the
net, in resnode and in Caffe; nets of 110 layers and more have two solvers, as their papers begin with a small rate.

Examples:
  resnode generate --list
  resnode generate resnet --depth 20 --train cifar10_train_lmdb --test cifar10_test_lmdb --out runs/resnet20
  resnode generate wrn-28-10 --classes 100 --dropout 0.3 --out runs/wrn
  resnode generate resnet --depth 98 --channels 1 --size 28 --train mnist_lmdb --test mnist_test_lmdb --mean-value 33 \\
    --out runs/mnist
  resnode generate resnet --depth 18 --classes 12 --train flowers_lmdb --test flowers_val_lmdb --test-images 1200 \\
    --out runs/flowers`,
    )
    .action((architecture: string | undefined, flags: Flags, command: Command) => {
      if (flags.list) list(flags.json === true);
      else if (architecture === undefined)
        command.error(
          "error: missing required argument 'architecture' (--list prints the architectures that papers name)",
          {
            exitCode: 2,
          },
        );
      else if (flags.out === undefined)
        command.error("error: required option '--out <folder>' not specified", { exitCode: 2 });
      else write(architecture, flags, flags.out);
    });
}

function write(name: string, flags: Flags, folder: string): void {
  const { mean, meanValue, resnetVersion: version, resnetShortcut: shortcut, json, overwrite } = flags;
  const { list: _, out: __, ...rest } = flags;
  const { meanValue: ___, resnetVersion: ____, resnetShortcut: _____, ...others } = rest;
  const { json: ______, overwrite: _______, ...options } = others;
  const files = resnetTraining({ ...options, name, version, shortcut, mean: mean ?? meanValue, folder });
  const parameters = learnedValues(files.deploy);
  const paths = writeTrainingFiles(folder, files, { overwrite: overwrite === true });
  const { about } = files;
  if (json) console.log(JSON.stringify({ name: about.name, parameters, paper: about.paper, files: paths }));
  else {
    console.log(`${about.name}: ${parameters.toLocaleString('en')} parameters (${about.paper})`);
    for (const path of paths) console.log(`wrote ${path}`);
  }
}

/** The number of learnable values, without BatchNorm's statistics, as papers count. */
function learnedValues(net: NetParameter): number {
  const statistics = new Set(
    (net.layer ?? []).flatMap(({ type, name }) => (type === 'BatchNorm' ? [name] : [])),
  );
  return graphFromCaffe(net).parameters.reduce(
    (sum, { layer, shape }) => sum + (statistics.has(layer) ? 0 : elementCount(shape)),
    0,
  );
}

function list(json: boolean): void {
  const rows = architectures();
  if (json) {
    console.log(JSON.stringify({ architectures: rows }));
    return;
  }
  const cells = rows.map(({ name, data, block, blocks, millions, paper }) => [
    ...[name, data, block, blocks.join('+')],
    ...[millions === null ? '' : `${millions}M`, paper],
  ]);
  for (const line of tableLines(['name', 'data', 'block', 'blocks', 'parameters', 'paper'], cells))
    console.log(line);
  console.log(
    'Other depths: CIFAR 6n+2 with basic blocks, 9n+2 with bottlenecks, 6n+4 for wrn; --blocks sets any numbers of blocks.',
  );
}
