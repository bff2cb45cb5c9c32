/** `resnode features` */

import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { writeNpy } from '../caffe/npy.ts';
import { FeatureRows, type Features, featureBatches } from '../images/features/extract-features.ts';
import { imageInput } from '../images/features/image-input.ts';
import { type Broken, BrokenImages, brokenOf } from './broken-images.ts';
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
import { type ProcessFlags, processOptions } from './processes.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, type Share, shared } from './share.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags
  extends DeviceFlags,
    WeightsFlags,
    PreprocessFlags,
    InputShapeFlags,
    ProgressFlags,
    ProcessFlags {
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
  const options = inputShapeOption(deviceOptions(preprocessOptions(processOptions(command))));
  return options.action((flags: Flags) => shared(command, flags, (share) => extract(flags, share)));
}

type Part = Features & { readonly broken: readonly Broken[]; readonly images: number };

async function extract(flags: Flags, share: Share): Promise<void> {
  const { batch } = flags;
  const chosen = choosePreprocess(flags, flags.model);
  const { own: sources, total } = await share.deal(batch, () => imageSources(flags.images, '--images'));
  const broken = new BrokenImages(flags);
  const progress = new Progress('images', total, flags);
  await using device = await openFlagged(flags, share.communicator);
  await using model = await share.inTurn(() =>
    device.load({
      model: flags.model,
      weights: flags.weights,
      ...matchOf(flags),
      outputs: [flags.blob],
      inputShapes: flags.inputShape,
      batch: Math.min(batch, total),
    }),
  );
  const preprocess = chosen.for(imageInput(model).size);
  const options = { preprocess, batch, ...limitsOf(flags), onBroken: broken.onBroken };
  const rows = new FeatureRows(total);
  let done = 0;
  await share.collect<Part>(
    Math.ceil(total / batch),
    async (put, signal) => {
      const files = sources.map(({ source }) => source);
      for await (const { end: _, broken, ...part } of featureBatches(model, files, { ...options, signal }))
        put({ ...part, broken: broken.map(brokenOf), images: part.files.length + broken.length });
    },
    (part) => {
      for (const error of part.broken) broken.onBroken(error);
      rows.add(part);
      done += part.images;
      progress.update(done);
    },
  );
  progress.end();
  if (!isFirst(share)) return;
  broken.end(total);
  const list = `${flags.out}.txt`;
  const { shape, data, files } = rows.features();
  writeNpy(flags.out, blobFromFloats(shape, data));
  writeFileAtomically(
    list,
    files.map((file) => `${file === 'image' ? STDIN : file}\n`),
  );
  if (flags.json) console.log(JSON.stringify({ out: flags.out, list, blob: flags.blob, shape }));
  else console.log(`${flags.out}: ${flags.blob}, ${shape.join('×')}; images in ${list}`);
}
