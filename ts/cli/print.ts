/** `resnode print` */

import { Command } from 'commander';
import { type ResnetOptions, resnet } from '../architectures/resnet.ts';
import { toJson } from '../caffe/json.ts';
import type { Message } from '../caffe/message.ts';
import { type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { readSolverFile } from '../caffe/solver-parameter.ts';
import { deployNet } from '../convert/deploy-net.ts';
import { trainNet } from '../convert/train-net.ts';
import { refuseForeignLayers } from '../layers/known-layers.ts';
import { flag, own } from './flag.ts';
import { prototxtOf } from './model-folder.ts';
import { type InputShapeFlags, inputShapeOption } from './options.ts';

interface Flags extends InputShapeFlags {
  deploy?: boolean;
  train?: boolean;
  resnet?: number;
  classes?: number;
  resnetVersion?: 'v1' | 'v1.5';
  resnetShortcut?: 'projection' | 'identity';
  solver?: string;
  json?: boolean;
}

export function print(): Command {
  const command = new Command()
    .argument('[net]', 'the prototxt, or a model folder')
    .addOption(flag('resnet', 'depth', '--resnet <depth>'))
    .addOption(flag('resnet', 'classes', '--classes <n>'))
    .addOption(flag('resnet', 'version', '--resnet-version <version>'))
    .addOption(flag('resnet', 'shortcut', '--resnet-shortcut <kind>'))
    .addOption(own('deploy'))
    .addOption(own('trainVal'))
    .addOption(own('printedSolver'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Examples:
  resnode print old-net.prototxt > net.prototxt
  resnode print --solver old-solver.prototxt > solver.prototxt
  resnode print --resnet 50 > ResNet-50-deploy.prototxt
  resnode print --resnet 50 --resnet-version v1.5 --classes 12
  resnode print --resnet 20 --resnet-shortcut projection
  resnode print --deploy train_val.prototxt > deploy.prototxt
  resnode print --train deploy.prototxt > train_val.prototxt`,
    );
  return inputShapeOption(command).action(async (file: string | undefined, flags: Flags) => {
    const fail = (text: string) => command.error(`error: ${text}`, { exitCode: 2 });
    const { resnet: depth, classes, resnetVersion: version, resnetShortcut: shortcut, solver } = flags;
    if ([file, depth, solver].filter((source) => source !== undefined).length !== 1)
      fail('expected one of a prototxt, --resnet and --solver');
    const options = Object.entries({ classes, version, shortcut }).filter(([, value]) => value !== undefined);
    if (depth === undefined && options.length > 0)
      fail('--classes, --resnet-version and --resnet-shortcut belong to --resnet');
    const { deploy, train, inputShape: inputShapes } = flags;
    if (deploy && train) fail('expected --deploy or --train, not both');
    if ((deploy || train) && solver !== undefined)
      fail('--deploy and --train belong to nets, not to solvers');
    const formed = async (net: NetParameter) =>
      deploy ? deployNet(net, { inputShapes }) : train ? trainNet(net) : whole(net);
    const [type, message] =
      solver !== undefined
        ? ['SolverParameter', readSolverFile(solver)]
        : [
            'NetParameter',
            await formed(
              file === undefined
                ? resnet({ depth, ...Object.fromEntries(options) } as ResnetOptions)
                : readNetFile(prototxtOf(file)),
            ),
          ];
    process.stdout.write(
      flags.json
        ? `${JSON.stringify(toJson(type, message as Message), null, 1)}\n`
        : printPrototxt(message, type),
    );
  });
}

// Printing would drop fields that a fork added to a layer.
function whole(net: NetParameter): NetParameter {
  refuseForeignLayers(net.layer ?? []);
  return net;
}
