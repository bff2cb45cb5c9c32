#!/usr/bin/env node
/** The command line: thin over the library. Exit status 2 for misuse, 1 for failure. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { resnet } from '../architectures/resnet.ts';
import { toFloat32 } from '../caffe/blob.ts';
import { readBinaryproto } from '../caffe/caffemodel.ts';
import { toJson } from '../caffe/json.ts';
import { readNet } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { ResnodeError } from '../errors.ts';
import { decodeImage } from '../image/decode.ts';
import { type Preprocess, msraPreprocess, preprocessImage } from '../image/preprocess.ts';
import { openDevice } from '../runtime/device.ts';

const count = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
};
const numbers = (text: string): number[] => {
  const values = text.split(',').map(Number);
  if (values.some(Number.isNaN)) throw new InvalidArgumentError('Expected numbers with commas between them.');
  return values;
};

const program = new Command('resnode')
  .description("Deep residual networks from Caffe's files")
  .exitOverride();

program
  .command('classify')
  .description('classify images')
  .argument('<image...>')
  .requiredOption('--model <prototxt>', 'the deploy net')
  .requiredOption('--weights <caffemodel>', 'its weights')
  .option('--mean <binaryproto>', 'a mean image')
  .option('--mean-value <list>', 'mean per channel (B,G,R)', numbers)
  .option('--labels <file>', 'one class name a line')
  .option('--top <n>', 'how many classes to show', count, 5)
  .option('--no-resize', 'take the image as it is, without the shorter side to 256')
  .option('--json', 'print JSON')
  .addHelpText(
    'after',
    '\nExample:\n  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel --mean ResNet_mean.binaryproto --labels synset_words.txt',
  )
  .action(async (images: string[], options) => {
    using device = await openDevice('cpu');
    using model = await device.load({ model: options.model, weights: options.weights, batch: 1 });
    const [input, shape] = Object.entries(model.inputs)[0]!;
    const [, channels, height, width] = shape as [number, 1 | 3, number, number];
    const mean = options.mean === undefined ? (options.meanValue ?? [0]) : blobMean(options.mean);
    const preprocess: Preprocess = {
      ...msraPreprocess(mean),
      crop: { width, height },
      ...(options.resize ? {} : { shorterSide: null }),
    };
    const labels =
      options.labels === undefined ? null : readFileSync(options.labels, 'utf8').trimEnd().split(/\r?\n/);
    const results = [];
    for (const file of images) {
      const data = preprocessImage(await decodeImage(file, channels), preprocess, file);
      const probabilities = Object.values(await model.run({ [input]: data })).at(-1)!.data;
      const top = Array.from(probabilities, (probability, index) => ({
        index,
        label: labels?.[index] ?? `class ${index}`,
        probability,
      }))
        .sort((a, b) => b.probability - a.probability)
        .slice(0, options.top);
      results.push({ file, top });
      if (!options.json) {
        console.log(file);
        for (const { label, probability } of top) console.log(`  ${probability.toFixed(4)}  ${label}`);
      }
    }
    if (options.json) console.log(JSON.stringify(results));
  });

program
  .command('print')
  .description('print a prototxt in canonical form, upgraded to the current format')
  .argument('[prototxt]')
  .option('--resnet <depth>', "print MSRA's ResNet of this depth (50, 101, 152) instead of a file", count)
  .option('--json', "print JSON in protobuf's form")
  .addHelpText('after', '\nExample:\n  resnode print old-net.prototxt > net.prototxt')
  .action((file: string | undefined, options) => {
    if ((file === undefined) === (options.resnet === undefined)) {
      program.error('error: expected either a prototxt or --resnet', { exitCode: 2 });
    }
    const net =
      file === undefined ? resnet({ depth: options.resnet }) : readNet(readFileSync(file, 'utf8'), { file });
    process.stdout.write(
      options.json
        ? `${JSON.stringify(toJson('NetParameter', net as Record<string, unknown>), null, 1)}\n`
        : printPrototxt(net),
    );
  });

function blobMean(file: string): Preprocess['mean'] {
  const blob = readBinaryproto(readFileSync(file), { file });
  return { shape: blob.shape, data: toFloat32(blob) };
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const known = error instanceof ResnodeError || (error as NodeJS.ErrnoException).code !== undefined;
    console.error(`resnode: ${known ? (error as Error).message : (error as Error).stack}`);
    process.exitCode = 1;
  }
}
