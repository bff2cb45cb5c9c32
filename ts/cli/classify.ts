/** `resnode classify` */
import { Command } from 'commander';
import { GraphError } from '../errors.ts';
import { decodeImage } from '../image/decode.ts';
import { readLabels } from '../image/labels.ts';
import { type Preprocess, preprocessImage } from '../image/preprocess.ts';
import { loadPreprocess, readMeanImage, savePreprocess } from '../image/preprocess-file.ts';
import type { Model } from '../runtime/model.ts';
import { elementCount } from '../runtime/tensor.ts';
import {
  type DeviceFlags,
  deviceOptions,
  integer,
  numbers,
  openFlagged,
  type PrecisionFlags,
  precisionOption,
} from './options.ts';

interface Flags extends DeviceFlags, PrecisionFlags {
  model: string;
  weights: string;
  mean?: string;
  meanValue?: number[];
  shorterSide: number;
  resize: boolean;
  preprocess?: string;
  savePreprocess?: string;
  labels?: string;
  top: number;
  json?: boolean;
}

export function classify(): Command {
  const command = new Command('classify')
    .description('name what is on images')
    .argument('<image...>', 'image files (JPEG, PNG, WebP, GIF, TIFF)')
    .requiredOption('--model <prototxt>', 'the deploy net')
    .requiredOption('--weights <caffemodel>', 'its weights (.caffemodel or .caffemodel.h5)')
    .option('--mean <binaryproto>', 'the mean image to subtract')
    .option('--mean-value <list>', 'or a mean per channel, in the order B,G,R', numbers)
    .option('--shorter-side <n>', 'resize the shorter side to this, then crop the centre', integer(1), 256)
    .option('--no-resize', 'take images as they are')
    .option('--preprocess <json>', 'all of this from a file that --save-preprocess wrote')
    .option('--save-preprocess <json>', 'keep the preprocessing beside the model')
    .option('--labels <file>', 'one class name a line')
    .option('--top <n>', 'how many classes to show', integer(1), 5)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Example:
  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --labels synset_words.txt`,
    );
  return precisionOption(deviceOptions(command)).action(async (images: string[], flags: Flags) => {
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      batch: 1,
      precision: flags.precision,
    });
    const { input, channels, crop, output, classes } = classifierShapes(model);
    const preprocess = preprocessOf(flags, crop);
    if (flags.savePreprocess !== undefined) savePreprocess(flags.savePreprocess, preprocess);
    const labels = flags.labels === undefined ? null : readLabels(flags.labels, classes);
    const results = [];
    for (const file of images) {
      const data = await preprocessImage(await decodeImage(file), preprocess, channels);
      const probabilities = (await model.run({ [input]: data }))[output]!.data;
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

function preprocessOf(flags: Flags, crop: Preprocess['crop']): Preprocess {
  if (flags.preprocess !== undefined) return loadPreprocess(flags.preprocess);
  return {
    resize: flags.resize ? { shorterSide: flags.shorterSide } : null,
    crop,
    mean: flags.mean === undefined ? (flags.meanValue ?? [0]) : readMeanImage(flags.mean),
  };
}

function classifierShapes(model: Model) {
  const [[input, shape], ...others] = Object.entries(model.inputs) as [[string, number[]]];
  const [, channels, height, width] = shape;
  if (others.length > 0 || shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new GraphError(
      'graph/no-classifier',
      {},
      `expected a net with one input N×3×H×W or N×1×H×W, found ${Object.entries(model.inputs)
        .map(([name, dims]) => `${name} ${dims.join('×')}`)
        .join(', ')}; give a deploy prototxt`,
    );
  const [output, scores] = Object.entries(model.outputs).at(-1)!;
  const crop = { width: width!, height: height! };
  return { input, channels: channels as 1 | 3, crop, output, classes: elementCount(scores) };
}
