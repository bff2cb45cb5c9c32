#!/usr/bin/env node
/** The command line: thin over the library. Exit status 2 for misuse, 1 for failure. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { resnet } from '../architectures/resnet.ts';
import { toFloat32 } from '../caffe/blob.ts';
import { readBinaryproto } from '../caffe/caffemodel.ts';
import { toJson } from '../caffe/json.ts';
import { filterNet, readNet } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { ResnodeError } from '../errors.ts';
import { countMacs, countParameters, totalMacs } from '../graph/count.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { decodeImage } from '../image/decode.ts';
import { type Preprocess, msraPreprocess, preprocessImage } from '../image/preprocess.ts';
import { runPasses } from '../passes/index.ts';
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

program
  .command('summary')
  .description('list layers, shapes, parameters and multiply-accumulates of a net')
  .argument('<prototxt>')
  .option('--json', 'print JSON')
  .option('--fused', 'after the passes, as it runs')
  .addHelpText('after', '\nExample:\n  resnode summary ResNet-50-deploy.prototxt --fused')
  .action((file: string, options) => {
    const written = graphFromCaffe(filterNet(readNet(readFileSync(file, 'utf8'), { file })));
    const graph = options.fused ? runPasses(written) : written;
    const rows = graph.nodes.map((node) => ({
      layers: node.layers,
      type: node.type,
      shape: graph.values[node.outputs[0]!]!.shape,
      macs: countMacs(graph, node),
    }));
    const totals = { parameters: countParameters(written), macs: totalMacs(graph) };
    if (options.json) {
      console.log(JSON.stringify({ name: graph.name, layers: rows, ...totals }));
      return;
    }
    for (const { layers, type, shape, macs } of rows) {
      const name = layers.length > 1 ? `${layers[0]} +${layers.length - 1}` : layers[0]!;
      console.log(
        `${name.padEnd(28)} ${type.padEnd(16)} ${shape.join('×').padEnd(18)} ${(macs / 1e6).toFixed(1).padStart(8)} MMAC`,
      );
    }
    console.log(
      `${(totals.parameters / 1e6).toFixed(2)} M parameters, ${(totals.macs / 1e9).toFixed(3)} GMAC`,
    );
  });

program
  .command('time')
  .description('time a net forward: the whole, then each operation in runs of its own')
  .requiredOption('--model <prototxt>', 'the net')
  .option('--weights <caffemodel>', 'its weights (default: fillers)')
  .option('--iterations <n>', 'how many runs', count, 50)
  .option('--batch <n>', 'first dimension of the inputs', count)
  .option('--threads <n>', 'threads', count)
  .option('--json', 'print JSON')
  .addHelpText('after', '\nExample:\n  resnode time --model ResNet-50-deploy.prototxt --iterations 20')
  .action(async (options) => {
    using device = await openDevice('cpu', options.threads === undefined ? {} : { threads: options.threads });
    using model = await device.load(options);
    const inputs = Object.fromEntries(
      Object.entries(model.inputs).map(([name, shape]) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)),
      ]),
    );
    await model.run(inputs);
    const whole: number[] = [];
    for (let i = 0; i < options.iterations; i++) {
      const start = performance.now();
      await model.run(inputs);
      whole.push(performance.now() - start);
    }
    const each = new Map<string, number[]>();
    for (let i = 0; i < options.iterations; i++) {
      for (const { layer, milliseconds } of await model.time(inputs))
        each.set(layer, [...(each.get(layer) ?? []), milliseconds]);
    }
    const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
    const operations = [...each].map(([layer, values]) => ({ layer, milliseconds: median(values) }));
    if (options.json) {
      console.log(
        JSON.stringify({
          milliseconds: median(whole),
          minimum: Math.min(...whole),
          maximum: Math.max(...whole),
          operations,
        }),
      );
      return;
    }
    for (const { layer, milliseconds } of operations)
      console.log(`${layer.padEnd(28)} ${milliseconds.toFixed(3).padStart(9)} ms`);
    console.log(
      `forward: median ${median(whole).toFixed(3)} ms (${Math.min(...whole).toFixed(3)}–${Math.max(...whole).toFixed(3)}) over ${whole.length} runs`,
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
