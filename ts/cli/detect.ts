/** `resnode detect` */
import { join } from 'node:path';
import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { decodeImage } from '../images/decode.ts';
import type { Detection } from '../images/detect/detection.ts';
import { detectionPicture } from '../images/detect/detection-picture.ts';
import { type DetectorOptions, openDetector } from '../images/detect/detector.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import type { Image } from '../images/image.ts';
import { decodingOf } from '../images/preprocess.ts';
import { saveWholePreprocess } from '../images/preprocess-file.ts';
import { BrokenImages, errorLine } from './broken-images.ts';
import { flag, group, needed, own } from './flag.ts';
import { IMAGES, type ImageSource, imageSources } from './image-files.ts';
import {
  type AnyPrecisionFlags,
  anyPrecisionOption,
  type DeviceFlags,
  deviceOptions,
  openFlagged,
  precisionOf,
} from './options.ts';
import { makePictureFolder, pictureNames } from './picture-names.ts';
import { limitsOf } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import {
  chooseWholePreprocess,
  type WholePreprocessFlags,
  wholePreprocessOptions,
} from './whole-preprocess-options.ts';

/** What says how boxes are made. */
export interface BoxFlags {
  nms?: number;
  boxStds?: number[];
  boxMeans?: number[];
}

interface Flags extends DeviceFlags, AnyPrecisionFlags, WholePreprocessFlags, BoxFlags, ProgressFlags {
  model: string;
  weights: string;
  labels?: string;
  minScore?: number;
  top?: number;
  batch: number;
  out?: string;
  overwrite?: boolean;
  savePreprocess?: string;
  skipBroken?: boolean;
  json?: boolean;
}

/** Adds --nms, --box-stds and --box-means. */
export const boxOptions = (command: Command): Command =>
  group(
    command,
    'How boxes are made:',
    flag('openDetector', 'nms', '--nms <overlap>'),
    flag('openDetector', 'boxStds', '--box-stds <list>'),
    flag('openDetector', 'boxMeans', '--box-means <list>'),
  );

/** The same as options. */
export const boxesOf = ({ nms, boxStds, boxMeans }: BoxFlags): DetectorOptions => ({
  ...(nms === undefined ? {} : { nms }),
  ...(boxStds === undefined ? {} : { boxStds }),
  ...(boxMeans === undefined ? {} : { boxMeans }),
});

export function detect(): Command {
  const command = new Command()
    .argument('<image...>', IMAGES)
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(own('labels'))
    .addOption(flag('detector.detect', 'minScore', '--min-score <score>'))
    .addOption(flag('detector.detect', 'top', '--top <n>'))
    .addOption(flag('openDetector', 'maxBatch', '--batch <n>', 8))
    .addOption(own('outDetections'))
    .addOption(own('overwrite'))
    .addOption(own('savePreprocess'))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(own('jsonLines'))
    .addHelpText(
      'after',
      `
Which detector it is, the net's layers say: SSD (DetectionOutput), Faster R-CNN or R-FCN. Boxes are x, y, width and height
in pixels of the image as it is. Without an option for the size SSD's images become the net's input size, others 600 pixels at the
shorter side, at most 1000 at the longer one. An image that cannot be read costs a line on stderr (with --json, a line with
"error") and exit status 1 at the end.

Examples:
  resnode detect street.jpg --model MobileNetSSD_deploy.prototxt --weights MobileNetSSD_deploy.caffemodel \\
    --mean-value 127.5 --scale 0.007843 --labels voc.txt --out found/
  resnode detect photos/ --model rfcn/ --min-score 0.8 --json`,
    );
  const options = anyPrecisionOption(deviceOptions(boxOptions(wholePreprocessOptions(command))));
  return options.action(async (words: string[], flags: Flags) => {
    const { out, batch, minScore, top } = flags;
    const preprocess = chooseWholePreprocess(flags, flags.model);
    const sources = await imageSources(words, 'the images');
    const names = pictureNames(sources);
    if (out !== undefined) makePictureFolder(out, flags.overwrite);
    await using device = await openFlagged(flags);
    const { precision, calibration } = { calibration: undefined, ...precisionOf(flags) };
    await using detector = await openDetector(
      {
        model: flags.model,
        weights: flags.weights,
        preprocess,
        ...(flags.labels === undefined ? {} : { labels: flags.labels }),
        ...(calibration === undefined ? {} : { calibration }),
      },
      { device, precision, maxBatch: Math.min(batch, sources.length), ...boxesOf(flags) },
    );
    if (flags.savePreprocess !== undefined) saveWholePreprocess(flags.savePreprocess, detector.preprocess);
    const decoding = decodingOf(preprocess, limitsOf(flags));
    // Results in a terminal show by themselves how far it has come.
    const progress =
      process.stdout.isTTY && !flags.progress ? null : new Progress('images', sources.length, flags);
    const broken = new BrokenImages(flags, (error) => {
      progress?.end();
      if (flags.json) console.log(errorLine(error));
      else console.error(`resnode: ${error.message}`);
    });
    const look = async ({ file, source }: ImageSource): Promise<Looked> => {
      const image = await decodeImage(source, { ...decoding, name: file });
      const detections = await detector.detect(image, {
        ...(minScore === undefined ? {} : { minScore }),
        ...(top === undefined ? {} : { top }),
      });
      if (out === undefined) return { file, image, detections, picture: null };
      const shown = decoding.depth === 16 ? await decodeImage(source, { ...decoding, depth: 8 }) : image;
      return { file, image, detections, picture: await detectionPicture(shown as Image, detections) };
    };
    const prepare = (part: readonly ImageSource[]) => Promise.allSettled(part.map(look));
    for await (const { begin, end, batch: looked } of readAhead(sources, batch, prepare)) {
      for (const [i, each] of looked.entries()) {
        if (each.status === 'rejected') {
          await broken.guard(Promise.reject(each.reason));
          continue;
        }
        const path = out === undefined ? null : join(out, `${names[begin + i]}.png`);
        if (path !== null) writeFileAtomically(path, [each.value.picture!]);
        print(each.value, path, flags);
      }
      progress?.update(end);
    }
    progress?.end();
    broken.end(sources.length);
  });
}

/** What was found in an image. */
interface Looked {
  readonly file: string;
  readonly image: { readonly width: number; readonly height: number };
  readonly detections: readonly Detection[];
  readonly picture: Uint8Array | null;
}

function print({ file, image, detections }: Looked, out: string | null, { json }: Flags): void {
  const { width, height } = image;
  const picture = out === null ? {} : { out };
  if (json) {
    console.log(JSON.stringify({ file, width, height, ...picture, detections }));
    return;
  }
  const rows = detections.map(({ label, score, box }) => [
    score.toFixed(4),
    ...[box.x, box.y, box.width, box.height].map((value) => value.toFixed(1)),
    label,
  ]);
  const head = ['score', 'x', 'y', 'width', 'height', 'class'];
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padStart(widths[i]!))).join('  ')}`;
  const found = rows.length === 0 ? ['  nothing'] : [head, ...rows].map(line);
  console.log([`${file} (${width}×${height})${out === null ? '' : ` → ${out}`}`, ...found].join('\n'));
}
