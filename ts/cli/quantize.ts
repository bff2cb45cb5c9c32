/** `resnode quantize` */

import { Command } from 'commander';
import { type CalibrationMethod, saveCalibration } from '../compile/calibration.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import { calibrate } from '../quantize/calibrate.ts';
import { BrokenImages } from './broken-images.ts';
import { calibrationImages } from './calibration-images.ts';
import { flag, needed, own } from './flag.ts';
import { imageSources } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  readFilteredNet,
} from './options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';
import { type WholePreprocessFlags, wholePreprocessOptions } from './whole-preprocess-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, WholePreprocessFlags, InputShapeFlags, ProgressFlags {
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
The weights do not change: classify, evaluate, detect, segment, plan and time take --precision int8 --calibration <json>.
Detectors and segmenters see whole images, prepared as detect and segment prepare them.

Example:
  resnode quantize --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images some-photographs/ --out ResNet-50.int8.json`,
    );
  weightsOptions(command);
  return inputShapeOption(deviceOptions(wholePreprocessOptions(command))).action(async (flags: Flags) => {
    const all = await imageSources(flags.images, '--images');
    const count = Math.min(flags.limit ?? all.length, all.length);
    const files = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
    const model = readFilteredNet(flags.model);
    await using device = await openFlagged(flags);
    const broken = new BrokenImages(flags);
    const { batch, inputShapes, prepare } = await calibrationImages(model, device, flags, broken);
    async function* inputs() {
      for await (const { batch: prepared } of readAhead(files, batch, prepare)) yield* prepared;
      broken.end(count);
    }
    const progress = new Progress('images', count, flags);
    const calibration = await calibrate(
      device,
      {
        model,
        weights: flags.weights,
        ...matchOf(flags),
        batch: Math.min(batch, count),
        inputShapes,
      },
      inputs(),
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
