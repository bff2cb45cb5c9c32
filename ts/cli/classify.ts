/** `resnode classify` */

import { Command } from 'commander';
import { type Classification, likeliest } from '../images/classify/likeliest.ts';
import { decodeImage } from '../images/decode.ts';
import { defaultBatch } from '../images/evaluate/evaluate-images.ts';
import { scoreCrops } from '../images/evaluate/image-scorers.ts';
import { scoresOf } from '../images/evaluate/scores.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf } from '../images/preprocess.ts';
import { savePreprocess } from '../images/preprocess-file.ts';
import { BrokenImages, errorLine } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { IMAGES, type ImageSource, imageSources } from './image-files.ts';
import {
  type AnyPrecisionFlags,
  anyPrecisionOption,
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  precisionOf,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags
  extends DeviceFlags,
    WeightsFlags,
    AnyPrecisionFlags,
    PreprocessFlags,
    InputShapeFlags,
    ProgressFlags {
  model: string;
  weights: string;
  savePreprocess?: string;
  skipBroken?: boolean;
  labels?: string;
  top: number;
  crops: 1 | 10;
  batch?: number;
  json?: boolean;
}

export function classify(): Command {
  const command = new Command()
    .argument('<image...>', IMAGES)
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(own('savePreprocess'))
    .addOption(own('labels'))
    .addOption(own('top', 5))
    .addOption(flag('evaluateImages', 'crops', '--crops <n>', 1))
    .addOption(flag('evaluateImages', 'batch', '--batch <n>'))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(own('jsonLines'))
    .addHelpText(
      'after',
      `
An image that cannot be read costs a line on stderr (with --json, a line with "error") and exit status 1 at the end.

Examples:
  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --labels synset_words.txt
  resnode classify photos/ 'more/**/*.png' --model ants-and-bees/ --crops 10 --json
  find photos -name '*.jpg' -mtime -1 | resnode classify - --model ants-and-bees/`,
    );
  weightsOptions(command);
  const options = inputShapeOption(anyPrecisionOption(deviceOptions(preprocessOptions(command))));
  return options.action(async (words: string[], flags: Flags) => {
    const chosen = choosePreprocess(flags, flags.model);
    const sources = await imageSources(words, 'the images');
    const { crops } = flags;
    const batch = Math.min(flags.batch ?? defaultBatch(crops), sources.length);
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      batch: batch * crops,
      inputShapes: flags.inputShape,
      ...precisionOf(flags),
    });
    const input = imageInput(model);
    const scores = scoresOf(model, input.name);
    const preprocess = chosen.for(input.size);
    if (flags.savePreprocess !== undefined) savePreprocess(flags.savePreprocess, preprocess);
    const labels = flags.labels === undefined ? null : readLabels(flags.labels, scores.classes);
    const scorer = scoreCrops(input, scores, preprocess, crops);
    const decoding = decodingOf(preprocess, limitsOf(flags));
    // Results in a terminal show by themselves how far it has come.
    const progress =
      process.stdout.isTTY && !flags.progress ? null : new Progress('images', sources.length, flags);
    const broken = new BrokenImages(flags, (error) => {
      progress?.end();
      if (flags.json) console.log(errorLine(error));
      else console.error(`resnode: ${error.message}`);
    });
    const prepare = async (part: readonly ImageSource[]) => {
      const read = part.map(async ({ file, source }) => {
        const image = await decodeImage(source, { ...decoding, name: file });
        return { file, ready: await scorer.prepare(image) };
      });
      // In the order of the images, whichever is read first.
      return Promise.allSettled(read);
    };
    for await (const { end, batch: read } of readAhead(sources, batch, prepare)) {
      const ready = read.flatMap((each) => (each.status === 'fulfilled' ? [each.value.ready] : []));
      const rows = ready.length === 0 ? [] : await scorer.score(ready);
      for (const each of read) {
        if (each.status === 'rejected') await broken.guard(Promise.reject(each.reason));
        else print(each.value.file, likeliest(rows.shift()!, labels, flags.top), flags, scores.independent);
      }
      progress?.update(end);
    }
    progress?.end();
    broken.end(sources.length);
  });
}

function print(file: string, top: readonly Classification[], { json }: Flags, independent: boolean): void {
  const lines = top.map(({ label, probability }) => `  ${probability.toFixed(4)}  ${label}`);
  console.log(
    json
      ? JSON.stringify({ file, top, ...(independent ? { independent } : {}) })
      : [file, ...lines].join('\n'),
  );
}
