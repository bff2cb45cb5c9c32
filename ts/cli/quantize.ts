/** `resnode quantize` */
import { Command, InvalidArgumentError, Option } from 'commander';
import { calibrate } from '../features/calibrate.ts';
import { imageInput } from '../features/image-input.ts';
import { readAhead } from '../features/read-ahead.ts';
import { preprocessFile } from '../image/preprocess.ts';
import { type CalibrationMethod, saveCalibration } from '../runtime/calibration.ts';
import { BrokenImages } from './broken-images.ts';
import { imageFiles } from './image-files.ts';
import { type DeviceFlags, deviceOptions, integer, openFlagged, readFilteredNet } from './options.ts';
import {
  choosePreprocess,
  limitsOf,
  type PreprocessFlags,
  preprocessOptions,
  skipBrokenOption,
} from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags {
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
  const command = new Command('quantize')
    .description('measure how large the values of a net are, so that it can run in int8')
    .requiredOption('--model <prototxt>', 'the deploy net')
    .requiredOption('--weights <caffemodel>', 'its weights (.caffemodel or .caffemodel.h5)')
    .requiredOption('--images <path...>', 'some images as the net will see them, or folders of them')
    .option('--limit <n>', 'take so many images, evenly spread over those given', integer(1))
    .option('--batch <n>', 'images in one run', integer(1), 4)
    .addOption(
      new Option(
        '--method <name>',
        'how far a range goes: all values, nearly all, or least loss of information',
      )
        .choices(['min-max', 'percentile', 'entropy'])
        .default('entropy'),
    )
    .option('--percentile <p>', 'for percentile: percent of the values that are not cut', percent, 99.99)
    .addOption(skipBrokenOption())
    .requiredOption('--out <json>', 'the calibration')
    .option('--json', 'print it, too')
    .addHelpText(
      'after',
      `
The weights stay as they are: classify, evaluate, plan and time take --precision int8 --calibration <json>.

Example:
  resnode quantize --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images some-photographs/ --out ResNet-50.int8.json`,
    );
  weightsOptions(command);
  return deviceOptions(preprocessOptions(command)).action(async (flags: Flags) => {
    const chosen = choosePreprocess(flags, flags.model);
    const all = imageFiles(flags.images);
    const count = Math.min(flags.limit ?? all.length, all.length);
    const files = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
    const model = readFilteredNet(flags.model);
    await using device = await openFlagged(flags);
    const plain = await device.load({ model, batch: 1 });
    const { name, channels, size } = imageInput(plain);
    plain.dispose();
    const preprocess = chosen.for(size);
    const broken = new BrokenImages(flags.skipBroken);
    const area = channels * size.height * size.width;
    const prepare = async (part: readonly string[]) => {
      const pixels = await Promise.all(
        part.map((file) => broken.guard(preprocessFile(file, preprocess, channels, limitsOf(flags)))),
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
    const calibration = await calibrate(
      device,
      { model, weights: flags.weights, ...matchOf(flags), batch: Math.min(flags.batch, count) },
      batches(),
      {
        method: flags.method,
        percentile: flags.percentile,
        onProgress: (done) => {
          if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${count} images`);
        },
      },
    );
    if (process.stderr.isTTY) process.stderr.write('\n');
    saveCalibration(flags.out, calibration);
    if (flags.json) console.log(JSON.stringify(calibration));
    else
      console.log(
        `${flags.out}: ranges of ${Object.keys(calibration.ranges).length} blobs over ${count - broken.list.length} images by ${flags.method}`,
      );
  });
}

function percent(text: string): number {
  const value = Number(text);
  if (!(value > 50 && value <= 100)) throw new InvalidArgumentError('Expected a number over 50, up to 100.');
  return value;
}
