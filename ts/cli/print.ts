/** `resnode print` */
import { Command } from 'commander';
import { resnet } from '../architectures/resnet.ts';
import { toJson } from '../caffe/json.ts';
import { readNetFile } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { integer } from './options.ts';

interface Flags {
  resnet?: number;
  json?: boolean;
}

export function print(): Command {
  return new Command('print')
    .description('print a prototxt in canonical form, upgraded to the current format')
    .argument('[prototxt]', 'the file')
    .option('--resnet <depth>', 'write the residual network of this depth instead', integer(1))
    .option('--json', "print JSON in protobuf's form")
    .addHelpText(
      'after',
      `
Examples:
  resnode print old-net.prototxt > net.prototxt
  resnode print --resnet 50 > ResNet-50-deploy.prototxt`,
    )
    .action((file: string | undefined, flags: Flags, command: Command) => {
      if ((file === undefined) === (flags.resnet === undefined))
        command.error('error: expected either a prototxt or --resnet', { exitCode: 2 });
      const net = file === undefined ? resnet({ depth: flags.resnet as 50 }) : readNetFile(file);
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(toJson('NetParameter', net as Record<string, unknown>), null, 1)}\n`
          : printPrototxt(net),
      );
    });
}
