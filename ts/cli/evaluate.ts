/** `resnode evaluate` */
import { Command, Option } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { readLabelledImages } from '../evaluate/dataset.ts';
import { evaluateImages } from '../evaluate/evaluate-images.ts';
import { publishedErrors } from '../evaluate/published.ts';
import { evaluationRecipe } from '../evaluate/recipe.ts';
import { type Share, summariseOutcomes } from '../evaluate/statistics.ts';
import { imageInput } from '../features/image-input.ts';
import { readLabels } from '../image/labels.ts';
import { elementCount } from '../runtime/tensor.ts';
import {
  type DeviceFlags,
  deviceOptions,
  integer,
  openFlagged,
  type PrecisionFlags,
  precisionOption,
  readFilteredNet,
} from './options.ts';
import { type PreprocessFlags, preprocessOf, preprocessOptions } from './preprocess-options.ts';

interface Flags extends DeviceFlags, PrecisionFlags, PreprocessFlags {
  model: string;
  weights: string;
  images: string;
  labels?: string;
  crops: '1' | '10';
  batch?: number;
  limit?: number;
  skipBroken?: boolean;
  output?: string;
  json?: boolean;
}

export function evaluate(): Command {
  const command = new Command('evaluate')
    .description('count how often a net is right: top-1 and top-5 error over images whose classes are known')
    .requiredOption('--model <prototxt>', 'the deploy net')
    .requiredOption('--weights <caffemodel>', 'its weights (.caffemodel or .caffemodel.h5)')
    .requiredOption(
      '--images <path>',
      'a folder per class, a list ("path label" lines), or a folder of n01484850_….JPEG',
    )
    .option('--labels <file>', 'one class name a line, e.g. synset_words.txt')
    .addOption(new Option('--crops <n>', 'crops of an image').choices(['1', '10']).default('1', 'the centre'))
    .option('--batch <n>', 'images in one run (default: 8; with ten crops 1)', integer(1))
    .option('--limit <n>', 'take only the first images', integer(1))
    .option('--skip-broken', 'leave out images that cannot be read, and list them')
    .option('--output <json>', 'write the result and the recipe that made it')
    .option('--json', 'print the same JSON')
    .addHelpText(
      'after',
      `
Example:
  resnode evaluate --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images ILSVRC2012_val/ --labels synset_words.txt --output result.json`,
    );
  return precisionOption(deviceOptions(preprocessOptions(command))).action(async (flags: Flags) => {
    const crops = flags.crops === '10' ? 10 : 1;
    const batch = flags.batch ?? (crops === 10 ? 1 : 8);
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      batch: batch * crops,
      precision: flags.precision,
    });
    const classes = elementCount(Object.values(model.outputs).at(-1)!.slice(1));
    const labels = flags.labels === undefined ? undefined : readLabels(flags.labels, classes);
    const { files, matchedBy } = readLabelledImages(flags.images, { classes, labels });
    const samples = files.slice(0, flags.limit);
    const preprocess = preprocessOf(flags, imageInput(model).size);

    const begin = performance.now();
    const perSecond = (done: number) => (1000 * done) / (performance.now() - begin);
    const { outcomes, skipped } = await evaluateImages(model, samples, {
      preprocess,
      crops,
      batch,
      skipBroken: flags.skipBroken ?? false,
      onProgress: (done) => {
        if (process.stderr.isTTY)
          process.stderr.write(
            `\r${done} of ${samples.length} images, ${perSecond(done).toFixed(1)} a second`,
          );
      },
    });
    const speed = perSecond(samples.length);
    if (process.stderr.isTTY) process.stderr.write('\n');

    const summary = summariseOutcomes(outcomes);
    const { precision } = flags;
    const result = {
      format: 'resnode-evaluation/1',
      ...summary,
      skipped,
      published: publishedErrors(readFilteredNet(flags.model), crops),
      labels: labels ?? null,
      source: { images: flags.images, matchedBy, limit: flags.limit ?? null },
      imagesPerSecond: speed,
      recipe: await evaluationRecipe({ ...flags, preprocess, crops, batch, device, precision }),
    };
    if (flags.output !== undefined)
      writeFileAtomically(flags.output, [`${JSON.stringify(result, null, 2)}\n`]);
    if (flags.json) console.log(JSON.stringify(result));
    else print(result);
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

function print(
  result: ReturnType<typeof summariseOutcomes> & {
    skipped: readonly { file: string; reason: string }[];
    published: ReturnType<typeof publishedErrors>;
    labels: readonly string[] | null;
    imagesPerSecond: number;
    recipe: { crops: number };
  },
): void {
  const { images, top1, top5, published, confusions, skipped } = result;
  const name = (label: number) => result.labels?.[label] ?? `class ${label}`;
  const row = (title: string, { correct, error, interval: [low, high] }: Share, other?: number) =>
    console.log(
      `${title}  error ${percent(error)} (95% interval ${percent(low)} to ${percent(high)}), ${correct} right` +
        (other === undefined ? '' : `; published ${percent(other)}`),
    );
  console.log(
    `${images} images, ${result.recipe.crops === 1 ? '1 crop' : '10 crops'}, ${result.imagesPerSecond.toFixed(1)} a second`,
  );
  row('top-1', top1, published?.top1);
  row('top-5', top5, published?.top5);
  if (published !== null)
    console.log(`published: ${published.net}, ILSVRC 2012 validation, ${published.source}`);
  console.log(`expected calibration error ${percent(result.calibration.expectedError)}`);
  if (confusions.length > 0) console.log('most often taken for another:');
  for (const { label, predicted, count } of confusions.slice(0, 10))
    console.log(`  ${count} × ${name(label)} → ${name(predicted)}`);
  if (skipped.length > 0) console.log(`${skipped.length} left out:`);
  for (const { reason } of skipped) console.log(`  ${reason}`);
}
