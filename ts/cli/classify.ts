/** `resnode classify` */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { toFloat32 } from '../caffe/blob.ts';
import { readBinaryproto } from '../caffe/caffemodel.ts';
import { decodeImage } from '../image/decode.ts';
import { msraPreprocess, type Preprocess, preprocessImage } from '../image/preprocess.ts';
import { type DeviceFlags, deviceOptions, integer, numbers, openFlagged } from './options.ts';

interface Flags extends DeviceFlags {
  model: string;
  weights: string;
  mean?: string;
  meanValue?: number[];
  labels?: string;
  top: number;
  resize: boolean;
  json?: boolean;
}

export function classify(): Command {
  const command = new Command('classify')
    .description('name what is on images')
    .argument('<image...>', 'image files (JPEG, PNG, WebP, GIF, TIFF)')
    .requiredOption('--model <prototxt>', 'the deploy net')
    .requiredOption('--weights <caffemodel>', 'its weights')
    .option('--mean <binaryproto>', 'the mean image to subtract')
    .option('--mean-value <list>', 'or a mean per channel, in the order B,G,R', numbers)
    .option('--labels <file>', 'one class name a line')
    .option('--top <n>', 'how many classes to show', integer(1), 5)
    .option('--no-resize', 'take images as they are, without the shorter side to 256')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Example:
  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --labels synset_words.txt`,
    );
  return deviceOptions(command).action(async (images: string[], flags: Flags) => {
    await using device = await openFlagged(flags);
    await using model = await device.load({ model: flags.model, weights: flags.weights, batch: 1 });
    const [input, shape] = Object.entries(model.inputs)[0]!;
    const [, channels, height, width] = shape as [number, 1 | 3, number, number];
    const mean = flags.mean === undefined ? (flags.meanValue ?? [0]) : blobMean(flags.mean);
    const preprocess: Preprocess = {
      ...msraPreprocess(mean),
      crop: { width, height },
      ...(flags.resize ? {} : { shorterSide: null }),
    };
    const labels =
      flags.labels === undefined ? null : readFileSync(flags.labels, 'utf8').trimEnd().split(/\r?\n/);
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
        .slice(0, flags.top);
      results.push({ file, top });
      if (flags.json) continue;
      console.log(file);
      for (const { label, probability } of top) console.log(`  ${probability.toFixed(4)}  ${label}`);
    }
    if (flags.json) console.log(JSON.stringify(results));
  });
}

function blobMean(file: string): Preprocess['mean'] {
  const blob = readBinaryproto(readFileSync(file), { file });
  return { shape: blob.shape, data: toFloat32(blob) };
}
