/** `resnode features` */

import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { writeNpy } from '../caffe/npy.ts';
import { extractFeatures } from '../images/features/extract-features.ts';
import { imageInput } from '../images/features/image-input.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { imageFiles } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, InputShapeFlags {
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
    const files = imageFiles(flags.images);
    const broken = new BrokenImages(flags.skipBroken);
    const { onBroken } = broken;
    await using device = await openFlagged(flags);
    await using model = await device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      outputs: [flags.blob],
      inputShapes: flags.inputShape,
      batch: Math.min(flags.batch, files.length),
    });
    const features = await extractFeatures(model, files, {
      preprocess: chosen.for(imageInput(model).size),
      ...limitsOf(flags),
      ...(onBroken === undefined ? {} : { onBroken }),
      batch: flags.batch,
      onProgress: (done) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${files.length} images`);
      },
    });
    if (process.stderr.isTTY) process.stderr.write('\n');
    broken.end(files.length);
    const { shape, data } = features;
    const list = `${flags.out}.txt`;
    writeNpy(flags.out, blobFromFloats(shape, data));
    writeFileAtomically(
      list,
      features.files.map((file) => `${file}\n`),
    );
    if (flags.json) console.log(JSON.stringify({ out: flags.out, list, blob: flags.blob, shape }));
    else console.log(`${flags.out}: ${flags.blob}, ${shape.join('×')}; images in ${list}`);
  });
}
