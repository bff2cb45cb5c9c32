/** `resnode segment` */
import { Command } from 'commander';
import type { Segmentation } from '../images/segment/segmentation.ts';
import { segmentationPicture, segmentationPng } from '../images/segment/segmentation-picture.ts';
import { openSegmenter } from '../images/segment/segmenter.ts';
import { flag, own } from './flag.ts';
import { lookAtWholeImages, type WholeImagesFlags, wholeImagesOptions } from './whole-images.ts';

interface Flags extends WholeImagesFlags {
  output?: string;
}

export function segment(): Command {
  const command = wholeImagesOptions(
    new Command(),
    [flag('openSegmenter', 'output', '--output <blob>'), flag('openSegmenter', 'maxBatch', '--batch <n>', 8)],
    own('outMaps'),
  );
  return command
    .addHelpText(
      'after',
      `
The layers of the net decide what its map holds: scores of classes (FCN, DeepLab, PSPNet), their ArgMax, or edges (HED). Without an
option for the size, a fully convolutional net sees images at their own size, and other nets at their input size. The map always has
the size of the image. Images of the same size run in batches.
For each image that cannot be read, a line is printed on stderr (with --json, a line with "error"), and the exit status is 1.

Examples:
  resnode segment street.jpg --model voc-fcn8s-deploy.prototxt --weights fcn8s.caffemodel \\
    --mean-value 104.00699,116.66877,122.67892 --labels voc.txt --out maps/
  resnode segment photos/ --model deeplab/ --longest-side 513 --pad 513x513 --json`,
    )
    .action((words: string[], flags: Flags) => {
      const { output, json } = flags;
      return lookAtWholeImages(words, flags, {
        open: (files, options) =>
          openSegmenter(files, { ...options, ...(output === undefined ? {} : { output }) }),
        look: (segmenter, image) => segmenter.segment(image),
        draw: async (shown, found) => ({
          '.png': await segmentationPng(found),
          '-overlay.png': await segmentationPicture(shown, found),
        }),
        print: ({ file }, found, [map, overlay]) =>
          print(file, found, map === undefined || overlay === undefined ? {} : { map, overlay }, json),
      });
    });
}

interface Paths {
  readonly map?: string;
  readonly overlay?: string;
}

/** Values above this count as edges in the reported share. */
const IS_EDGE = 0.5;

function print(file: string, found: Segmentation, paths: Paths, json?: boolean): void {
  const { kind, width, height } = found;
  const share = kind === 'edges' ? edgeShare(found.map) : null;
  if (json) {
    const facts = found.kind === 'classes' ? { areas: found.areas } : { edges: share };
    console.log(JSON.stringify({ file, width, height, kind, ...paths, ...facts }));
    return;
  }
  const written = paths.map === undefined ? '' : ` → ${paths.map}, ${paths.overlay}`;
  const percent = (value: number) => `${(100 * value).toFixed(2)}%`;
  const lines =
    found.kind === 'classes'
      ? found.areas.map(
          ({ label, pixels, share: part }) =>
            `  ${percent(part).padStart(7)}  ${String(pixels).padStart(String(width * height).length)} pixels  ${label}`,
        )
      : [`  ${percent(share!).padStart(7)}  above ${IS_EDGE}`];
  console.log([`${file} (${width}×${height})${written}`, ...lines].join('\n'));
}

function edgeShare(map: Float32Array): number {
  let above = 0;
  for (const value of map) if (value > IS_EDGE) above++;
  return above / map.length;
}
