/** `resnode quantize` */

import { Command } from 'commander';
import { type CalibrationMethod, saveCalibration } from '../compile/calibration.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import { preprocessFile } from '../images/preprocess.ts';
import { calibrate } from '../quantize/calibrate.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { type ImageSource, imageSources } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  readFilteredNet,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, InputShapeFlags, ProgressFlags {
  model: string;
  weights: string;
  images: string[];
  limit?: number;
  skipBroken?: boolean;
  batch: number;
  method: CalibrationMethod;
  percentile: number;
  out: string;
  json?: boolean;
}

export function quantize(): Command {
  const command = new Command()
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(needed(own('images')))
    .addOption(own('spreadLimit'))
    .addOption(own('batch', 4))
    .addOption(flag('calibrate', 'method', '--method <name>', 'entropy'))
    .addOption(flag('calibrate', 'percentile', '--percentile <p>', 99.99))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(needed(own('outCalibration')))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
The weights stay as they are: classify, evaluate, plan and time take --precision int8 --calibration <json>.

Example:
  resnode quantize --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images some-photographs/ --out ResNet-50.int8.json`,
    );
  weightsOptions(command);
  return inputShapeOption(deviceOptions(preprocessOptions(command))).action(async (flags: Flags) => {
    const chosen = choosePreprocess(flags, flags.model);
    const all = await imageSources(flags.images, '--images');
    const count = Math.min(flags.limit ?? all.length, all.length);
    const files = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
    const model = readFilteredNet(flags.model);
    await using device = await openFlagged(flags);
    const plain = await device.load({ model, batch: 1, inputShapes: flags.inputShape });
    const { name, channels, size } = imageInput(plain);
    plain.dispose();
    const preprocess = chosen.for(size);
    const broken = new BrokenImages(flags);
    const area = channels * size.height * size.width;
    const prepare = async (part: readonly ImageSource[]) => {
      const pixels = await Promise.all(
        part.map(({ file, source }) =>
          broken.guard(preprocessFile(source, preprocess, channels, { ...limitsOf(flags), name: file })),
        ),
      );
      const images = pixels.filter((image) => image !== null);
      const data = new Float32Array(images.length * area);
      images.forEach((image, i) => {
        data.set(image, i * area);
      });
      return { [name]: { shape: [images.length, channels, size.height, size.width], data } };
    };
    async function* batches() {
      for await (const { batch } of readAhead(files, flags.batch, prepare))
        if (batch[name]!.data.length > 0) yield batch;
      broken.end(count);
    }
    const progress = new Progress('images', count, flags);
    const calibration = await calibrate(
      device,
      {
        model,
        weights: flags.weights,
        ...matchOf(flags),
        batch: Math.min(flags.batch, count),
        inputShapes: flags.inputShape,
      },
      batches(),
      {
        method: flags.method,
        percentile: flags.percentile,
        onProgress: progress.update,
      },
    );
    progress.end();
    saveCalibration(flags.out, calibration);
    if (flags.json) console.log(JSON.stringify(calibration));
    else
      console.log(
        `${flags.out}: ranges of ${Object.keys(calibration.ranges).length} blobs over ${count - broken.list.length} images by ${flags.method}`,
      );
  });
}
