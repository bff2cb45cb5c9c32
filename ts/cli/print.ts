/** `resnode print` */
import { Command } from 'commander';
import { resnet } from '../architectures/resnet.ts';
import { toJson } from '../caffe/json.ts';
import type { Message } from '../caffe/message.ts';
import { readNetFile } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { readSolverFile } from '../caffe/solver-parameter.ts';
import { integer } from './options.ts';

interface Flags {
  resnet?: number;
  solver?: string;
  json?: boolean;
}

export function print(): Command {
  return new Command('print')
    .description('print a prototxt in canonical form, upgraded to the current format')
    .argument('[prototxt]', 'the file')
    .option('--resnet <depth>', 'write the residual network of this depth instead', integer(1))
    .option('--solver <prototxt>', "print a solver's file instead")
    .option('--json', "print JSON in protobuf's form")
    .addHelpText(
      'after',
      `
Examples:
  resnode print old-net.prototxt > net.prototxt
  resnode print --solver old-solver.prototxt > solver.prototxt
  resnode print --resnet 50 > ResNet-50-deploy.prototxt`,
    )
    .action((file: string | undefined, flags: Flags, command: Command) => {
      if ([file, flags.resnet, flags.solver].filter((source) => source !== undefined).length !== 1)
        command.error('error: expected one of a prototxt, --resnet and --solver', { exitCode: 2 });
      const [type, message] =
        flags.solver !== undefined
          ? ['SolverParameter', readSolverFile(flags.solver)]
          : ['NetParameter', file === undefined ? resnet({ depth: flags.resnet as 50 }) : readNetFile(file)];
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(toJson(type, message as Message), null, 1)}\n`
          : printPrototxt(message, type),
      );
    });
}
