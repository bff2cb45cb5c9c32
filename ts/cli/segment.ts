/** `resnode segment` */
import { join } from 'node:path';
import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { decodeImage } from '../images/decode.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import type { Image } from '../images/image.ts';
import { decodingOf } from '../images/preprocess.ts';
import { saveWholePreprocess } from '../images/preprocess-file.ts';
import type { Segmentation } from '../images/segment/segmentation.ts';
import { segmentationPicture, segmentationPng } from '../images/segment/segmentation-picture.ts';
import { openSegmenter } from '../images/segment/segmenter.ts';
import { BrokenImages, errorLine } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
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

interface Flags extends DeviceFlags, AnyPrecisionFlags, WholePreprocessFlags, ProgressFlags {
  model: string;
  weights: string;
  labels?: string;
  output?: string;
  batch: number;
  out?: string;
  overwrite?: boolean;
  savePreprocess?: string;
  skipBroken?: boolean;
  json?: boolean;
}

export function segment(): Command {
  const command = new Command()
    .argument('<image...>', IMAGES)
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(own('labels'))
    .addOption(flag('openSegmenter', 'output', '--output <blob>'))
    .addOption(flag('openSegmenter', 'maxBatch', '--batch <n>', 8))
    .addOption(own('outMaps'))
    .addOption(own('overwrite'))
    .addOption(own('savePreprocess'))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(own('jsonLines'))
    .addHelpText(
      'after',
      `
What the net's map holds, its layers say: scores of classes (FCN, DeepLab, PSPNet), their ArgMax, or edges (HED). Without an option
for the size images are taken in their own where the net is fully convolutional, and otherwise become its input's; in any case
the map has the image's size. Images of one size run in batches. An image that cannot be read costs a line on stderr (with
--json, a line with "error") and exit status 1 at the end.

Examples:
  resnode segment street.jpg --model voc-fcn8s-deploy.prototxt --weights fcn8s.caffemodel \\
    --mean-value 104.00699,116.66877,122.67892 --labels voc.txt --out maps/
  resnode segment photos/ --model deeplab/ --longest-side 513 --pad 513x513 --json`,
    );
  const options = anyPrecisionOption(deviceOptions(wholePreprocessOptions(command)));
  return options.action(async (words: string[], flags: Flags) => {
    const { out, batch, output } = flags;
    const preprocess = chooseWholePreprocess(flags, flags.model);
    const sources = await imageSources(words, 'the images');
    const names = pictureNames(sources);
    if (out !== undefined) makePictureFolder(out, flags.overwrite);
    await using device = await openFlagged(flags);
    const { precision, calibration } = { calibration: undefined, ...precisionOf(flags) };
    await using segmenter = await openSegmenter(
      {
        model: flags.model,
        weights: flags.weights,
        preprocess,
        ...(flags.labels === undefined ? {} : { labels: flags.labels }),
        ...(calibration === undefined ? {} : { calibration }),
      },
      {
        device,
        precision,
        maxBatch: Math.min(batch, sources.length),
        ...(output === undefined ? {} : { output }),
      },
    );
    if (flags.savePreprocess !== undefined) saveWholePreprocess(flags.savePreprocess, segmenter.preprocess);
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
      const found = await segmenter.segment(image);
      if (out === undefined) return { file, found, map: null, overlay: null };
      const shown = decoding.depth === 16 ? await decodeImage(source, { ...decoding, depth: 8 }) : image;
      const overlay = await segmentationPicture(shown as Image, found);
      return { file, found, map: await segmentationPng(found), overlay };
    };
    const prepare = (part: readonly ImageSource[]) => Promise.allSettled(part.map(look));
    for await (const { begin, end, batch: looked } of readAhead(sources, batch, prepare)) {
      for (const [i, each] of looked.entries()) {
        if (each.status === 'rejected') {
          await broken.guard(Promise.reject(each.reason));
          continue;
        }
        const { map, overlay } = each.value;
        const stem = out === undefined ? '' : join(out, names[begin + i]!);
        const paths: Paths =
          map === null || overlay === null ? {} : { map: `${stem}.png`, overlay: `${stem}-overlay.png` };
        if (paths.map !== undefined) writeFileAtomically(paths.map, [map!]);
        if (paths.overlay !== undefined) writeFileAtomically(paths.overlay, [overlay!]);
        print(each.value, paths, flags);
      }
      progress?.update(end);
    }
    progress?.end();
    broken.end(sources.length);
  });
}

/** An image's map, and its pictures where they are written. */
interface Looked {
  readonly file: string;
  readonly found: Segmentation;
  readonly map: Uint8Array | null;
  readonly overlay: Uint8Array | null;
}

interface Paths {
  readonly map?: string;
  readonly overlay?: string;
}

/** Values above it count as edges where their share is told. */
const IS_EDGE = 0.5;

function print({ file, found }: Looked, paths: Paths, { json }: Flags): void {
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
