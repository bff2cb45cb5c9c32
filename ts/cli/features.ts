/** `resnode features` */

import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { writeNpy } from '../caffe/npy.ts';
import { extractFeatures } from '../images/features/extract-features.ts';
import { imageInput } from '../images/features/image-input.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { imageSources, STDIN } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, InputShapeFlags, ProgressFlags {
  model: string;
  weights: string;
  blob: string;
  images: string[];
  batch: number;
  skipBroken?: boolean;
  out: string;
  json?: boolean;
}

export function features(): Command {
  const command = new Command()
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(needed(own('blob')))
    .addOption(needed(own('images')))
    .addOption(flag('extractFeatures', 'batch', '--batch <n>', 8))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(needed(own('outNpy')))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Example:
  resnode features --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --blob pool5 --images photos/ --out pool5.npy`,
    );
  weightsOptions(command);
  return inputShapeOption(deviceOptions(preprocessOptions(command))).action(async (flags: Flags) => {
    const chosen = choosePreprocess(flags, flags.model);
    const sources = await imageSources(flags.images, '--images');
    const broken = new BrokenImages(flags);
    const progress = new Progress('images', sources.length, flags);
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      outputs: [flags.blob],
      inputShapes: flags.inputShape,
      batch: Math.min(flags.batch, sources.length),
    });
    const features = await extractFeatures(
      model,
      sources.map(({ source }) => source),
      {
        preprocess: chosen.for(imageInput(model).size),
        ...limitsOf(flags),
        onBroken: broken.onBroken,
        batch: flags.batch,
        onProgress: progress.update,
      },
    );
    progress.end();
    broken.end(sources.length);
    const { shape, data } = features;
    const list = `${flags.out}.txt`;
    writeNpy(flags.out, blobFromFloats(shape, data));
    writeFileAtomically(
      list,
      features.files.map((file) => `${file === 'image' ? STDIN : file}\n`),
    );
    if (flags.json) console.log(JSON.stringify({ out: flags.out, list, blob: flags.blob, shape }));
    else console.log(`${flags.out}: ${flags.blob}, ${shape.join('×')}; images in ${list}`);
  });
}
