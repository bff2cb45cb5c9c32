/** `resnode classify` */

import { Command } from 'commander';
import type { Model } from '../device/model.ts';
import { elementCount } from '../device/tensor.ts';
import { likeliest } from '../images/classify/likeliest.ts';
import { imageInput } from '../images/features/image-input.ts';
import { IMAGE_FORMATS } from '../images/format.ts';
import { readLabels } from '../images/labels.ts';
import { preprocessFile } from '../images/preprocess.ts';
import { savePreprocess } from '../images/preprocess-file.ts';
import { BrokenImages } from './broken-images.ts';
import { needed, own } from './flag.ts';
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
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, AnyPrecisionFlags, PreprocessFlags, InputShapeFlags {
  model: string;
  weights: string;
  savePreprocess?: string;
  skipBroken?: boolean;
  labels?: string;
  top: number;
  json?: boolean;
}

export function classify(): Command {
  const command = new Command()
    .argument('<image...>', `image files (${IMAGE_FORMATS})`)
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(own('savePreprocess'))
    .addOption(own('labels'))
    .addOption(own('top', 5))
    .addOption(own('skipBroken'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Example:
  resnode classify cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --labels synset_words.txt`,
    );
  weightsOptions(command);
  const options = inputShapeOption(anyPrecisionOption(deviceOptions(preprocessOptions(command))));
  return options.action(async (images: string[], flags: Flags) => {
    const chosen = choosePreprocess(flags, flags.model);
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      batch: 1,
      inputShapes: flags.inputShape,
      ...precisionOf(flags),
    });
    const { input, channels, crop, output, classes } = classifierShapes(model);
    const preprocess = chosen.for(crop);
    if (flags.savePreprocess !== undefined) savePreprocess(flags.savePreprocess, preprocess);
    const labels = flags.labels === undefined ? null : readLabels(flags.labels, classes);
    const results = [];
    const broken = new BrokenImages(flags.skipBroken);
    for (const file of images) {
      const data = await broken.guard(preprocessFile(file, preprocess, channels, limitsOf(flags)));
      if (data === null) continue;
      const probabilities = (await model.run({ [input]: data }))[output]!.data;
      const top = likeliest(probabilities, labels, flags.top);
      results.push({ file, top });
      if (flags.json) continue;
      console.log(file);
      for (const { label, probability } of top) console.log(`  ${probability.toFixed(4)}  ${label}`);
    }
    if (flags.json) console.log(JSON.stringify(results));
    broken.end(images.length);
  });
}

function classifierShapes(model: Model) {
  const { name: input, channels, size: crop } = imageInput(model);
  const [output, scores] = Object.entries(model.outputs).at(-1)!;
  return { input, channels, crop, output, classes: elementCount(scores) };
}
