/** `resnode detect` */
import { Command } from 'commander';
import type { Detection } from '../images/detect/detection.ts';
import { detectionPicture } from '../images/detect/detection-picture.ts';
import { type DetectorOptions, openDetector } from '../images/detect/detector.ts';
import { type Flag, flag, group, own } from './flag.ts';
import { tableLines } from './table.ts';
import { lookAtWholeImages, type WholeImagesFlags, wholeImagesOptions } from './whole-images.ts';

/** The flags that control how boxes are computed. */
export interface BoxFlags {
  nms?: number;
  boxStds?: number[];
  boxMeans?: number[];
}

interface Flags extends WholeImagesFlags, BoxFlags {
  minScore?: number;
  top?: number;
}

/** The flags --nms, --box-stds and --box-means. */
export const boxOptions = (): Flag[] => [
  flag('openDetector', 'nms', '--nms <overlap>'),
  flag('openDetector', 'boxStds', '--box-stds <list>'),
  flag('openDetector', 'boxMeans', '--box-means <list>'),
];

/** The same flags as options of the library. */
export const boxesOf = ({ nms, boxStds, boxMeans }: BoxFlags): DetectorOptions => ({
  ...(nms === undefined ? {} : { nms }),
  ...(boxStds === undefined ? {} : { boxStds }),
  ...(boxMeans === undefined ? {} : { boxMeans }),
});

export function detect(): Command {
  const command = wholeImagesOptions(
    new Command(),
    [
      flag('detector.detect', 'minScore', '--min-score <score>'),
      flag('detector.detect', 'top', '--top <n>'),
      flag('openDetector', 'maxBatch', '--batch <n>', 8),
    ],
    own('outDetections'),
  );
  return group(command, 'How boxes are made:', ...boxOptions())
    .addHelpText(
      'after',
      `
The layers of the net decide how it is read: as SSD (DetectionOutput), YOLO, Faster R-CNN, R-FCN, MS-CNN or Cascade R-CNN. Boxes are
x, y, width and height in pixels of the original image. Without an option for the size, SSD, YOLO and MS-CNN see images at the net's
input size, Cascade R-CNN within its sides, and others with a shorter side of 600 pixels and a longer side of at most 1000.
For each image that cannot be read, a line is printed on stderr (with --json, a line with "error"), and the exit status is 1.

Examples:
  resnode detect street.jpg --model MobileNetSSD_deploy.prototxt --weights MobileNetSSD_deploy.caffemodel \\
    --mean-value 127.5 --scale 0.007843 --labels voc.txt --out found/
  resnode detect photos/ --model rfcn/ --min-score 0.8 --json`,
    )
    .action((words: string[], flags: Flags) => {
      const { minScore, top } = flags;
      return lookAtWholeImages(words, flags, {
        open: (files, options) => openDetector(files, { ...options, ...boxesOf(flags) }),
        look: (detector, image) =>
          detector.detect(image, {
            ...(minScore === undefined ? {} : { minScore }),
            ...(top === undefined ? {} : { top }),
          }),
        draw: async (shown, detections) => ({ '.png': await detectionPicture(shown, detections) }),
        print: (image, detections, [out]) => {
          if (flags.json)
            console.log(JSON.stringify({ ...image, ...(out === undefined ? {} : { out }), detections }));
          else
            console.log(
              [
                `${image.file} (${image.width}×${image.height})${out === undefined ? '' : ` → ${out}`}`,
                ...tableOf(detections),
              ].join('\n'),
            );
        },
      });
    });
}

function tableOf(detections: readonly Detection[]): readonly string[] {
  const rows = detections.map(({ label, score, box }) => [
    score.toFixed(4),
    ...[box.x, box.y, box.width, box.height].map((value) => value.toFixed(1)),
    label,
  ]);
  return rows.length === 0
    ? ['  nothing']
    : tableLines(['score', 'x', 'y', 'width', 'height', 'class'], rows);
}
