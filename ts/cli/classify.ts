/** `resnode classify` */

import { Command } from 'commander';
import { ImageError } from '../base/errors.ts';
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
import { type Broken, BrokenImages, brokenOf, errorLine } from './broken-images.ts';
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
import { type ProcessFlags, processOptions } from './processes.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, type Share, shared } from './share.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags
  extends DeviceFlags,
    WeightsFlags,
    AnyPrecisionFlags,
    PreprocessFlags,
    InputShapeFlags,
    ProgressFlags,
    ProcessFlags {
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
For each image that cannot be read, a line is printed on stderr (with --json, a line with "error"), and the exit status is 1.

Examples:
  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --labels synset_words.txt
  resnode classify photos/ 'more/**/*.png' --model ants-and-bees/ --crops 10 --json
  mpirun -n 4 resnode classify photos/ --model ants-and-bees/ --threads 2 --json
  find photos -name '*.jpg' -mtime -1 | resnode classify - --model ants-and-bees/`,
    );
  weightsOptions(command);
  const options = inputShapeOption(
    anyPrecisionOption(deviceOptions(preprocessOptions(processOptions(command)))),
  );
  return options.action((words: string[], flags: Flags) =>
    shared(command, flags, (share) => classifyImages(words, flags, share)),
  );
}

/** The result for one image. */
type Result =
  | { readonly file: string; readonly top: readonly Classification[] }
  | { readonly broken: Broken };

async function classifyImages(words: readonly string[], flags: Flags, share: Share): Promise<void> {
  const { crops } = flags;
  const chosen = choosePreprocess(flags, flags.model);
  const size = flags.batch ?? defaultBatch(crops);
  const { own: sources, total } = await share.deal(size, () => imageSources(words, 'the images'));
  const batch = Math.min(size, total);
  await using device = await openFlagged(flags, share.communicator);
  await using model = await share.inTurn(() =>
    device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      batch: batch * crops,
      inputShapes: flags.inputShape,
      ...precisionOf(flags),
    }),
  );
  const input = imageInput(model);
  const scores = scoresOf(model, input.name);
  const preprocess = chosen.for(input.size);
  if (flags.savePreprocess !== undefined && isFirst(share)) savePreprocess(flags.savePreprocess, preprocess);
  const labels = flags.labels === undefined ? null : readLabels(flags.labels, scores.classes);
  const scorer = scoreCrops(input, scores, preprocess, crops);
  const decoding = decodingOf(preprocess, limitsOf(flags));
  // Results that appear in a terminal already show the progress.
  const progress = process.stdout.isTTY && !flags.progress ? null : new Progress('images', total, flags);
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
    // Results keep the order of the images, whichever is read first.
    return Promise.allSettled(read);
  };
  let done = 0;
  await share.collect<readonly Result[]>(
    Math.ceil(total / batch),
    async (put, signal) => {
      for await (const { batch: read } of readAhead(sources, batch, prepare, signal)) {
        const ready = read.flatMap((each) => (each.status === 'fulfilled' ? [each.value.ready] : []));
        const rows = ready.length === 0 ? [] : await scorer.score(ready, signal);
        const results = read.map((each): Result => {
          if (each.status === 'fulfilled')
            return { file: each.value.file, top: likeliest(rows.shift()!, labels, flags.top) };
          if (!(each.reason instanceof ImageError)) throw each.reason;
          return { broken: brokenOf(each.reason) };
        });
        put(results);
      }
    },
    (results) => {
      for (const result of results)
        if ('broken' in result) broken.onBroken(result.broken);
        else print(result.file, result.top, flags, scores.independent);
      done += results.length;
      progress?.update(done);
    },
  );
  progress?.end();
  if (isFirst(share)) broken.end(total);
}

function print(file: string, top: readonly Classification[], { json }: Flags, independent: boolean): void {
  const lines = top.map(({ label, probability }) => `  ${probability.toFixed(4)}  ${label}`);
  console.log(
    json
      ? JSON.stringify({ file, top, ...(independent ? { independent } : {}) })
      : [file, ...lines].join('\n'),
  );
}
