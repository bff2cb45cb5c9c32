/** The common part of `detect` and `segment`: they process whole images, print the results, and draw them on request. */
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import type { Device } from '../device/device.ts';
import { decodeImage } from '../images/decode.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import type { DeepImage, Image } from '../images/image.ts';
import { decodingOf } from '../images/preprocess.ts';
import { saveWholePreprocess } from '../images/preprocess-file.ts';
import type { TaskFiles } from '../images/service/task-files.ts';
import type { WholePreprocess } from '../images/whole.ts';
import { BrokenImages, errorLine } from './broken-images.ts';
import { needed, own } from './flag.ts';
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

export interface WholeImagesFlags
  extends DeviceFlags,
    AnyPrecisionFlags,
    WholePreprocessFlags,
    ProgressFlags {
  model: string;
  weights: string;
  labels?: string;
  batch: number;
  out?: string;
  overwrite?: boolean;
  savePreprocess?: string;
  skipBroken?: boolean;
  json?: boolean;
}

/**
 * Adds the options of both commands, in the order of --help.
 * @param options Options of one task.
 * @param out Its --out.
 */
export function wholeImagesOptions(command: Command, options: readonly Option[], out: Option): Command {
  command.argument('<image...>', IMAGES);
  for (const option of [
    needed(own('deployModel')),
    needed(own('weights')),
    own('labels'),
    ...options,
    out,
    own('overwrite'),
    own('savePreprocess'),
    own('skipBroken'),
    own('progress'),
    own('jsonLines'),
  ])
    command.addOption(option);
  return anyPrecisionOption(deviceOptions(wholePreprocessOptions(command)));
}

/** Processes images: a Detector or a Segmenter. */
interface Looker extends AsyncDisposable {
  readonly preprocess: WholePreprocess;
}

export interface WholeImagesTask<Opened extends Looker, Found> {
  readonly open: (
    files: TaskFiles,
    options: { device: Device; precision: ReturnType<typeof precisionOf>['precision']; maxBatch: number },
  ) => Promise<Opened>;
  readonly look: (opened: Opened, image: Image | DeepImage) => Promise<Found>;
  /**
   * Returns the pictures of an image by the suffixes of their file names.
   * @param shown The image in 8 bits.
   */
  readonly draw: (shown: Image, found: Found) => Promise<Readonly<Record<string, Uint8Array>>>;
  /**
   * Prints a result.
   * @param written The files of `draw`, in its order.
   */
  readonly print: (
    image: { readonly file: string; readonly width: number; readonly height: number },
    found: Found,
    written: readonly string[],
  ) => void;
}

/**
 * Processes the images that the words name.
 * @throws the errors of opening; sets the exit status for broken images
 */
export async function lookAtWholeImages<Opened extends Looker, Found>(
  words: readonly string[],
  flags: WholeImagesFlags,
  task: WholeImagesTask<Opened, Found>,
): Promise<void> {
  const { out, batch } = flags;
  const preprocess = chooseWholePreprocess(flags, flags.model);
  const sources = await imageSources(words, 'the images');
  const names = pictureNames(sources);
  if (out !== undefined) makePictureFolder(out, flags.overwrite);
  await using device = await openFlagged(flags);
  const { precision, calibration } = { calibration: undefined, ...precisionOf(flags) };
  await using opened = await task.open(
    {
      model: flags.model,
      weights: flags.weights,
      preprocess,
      ...(flags.labels === undefined ? {} : { labels: flags.labels }),
      ...(calibration === undefined ? {} : { calibration }),
    },
    { device, precision, maxBatch: Math.min(batch, sources.length) },
  );
  if (flags.savePreprocess !== undefined) saveWholePreprocess(flags.savePreprocess, opened.preprocess);
  const decoding = decodingOf(preprocess, limitsOf(flags));
  // Results that appear in a terminal already show the progress.
  const progress =
    process.stdout.isTTY && !flags.progress ? null : new Progress('images', sources.length, flags);
  const broken = new BrokenImages(flags, (error) => {
    progress?.end();
    if (flags.json) console.log(errorLine(error));
    else console.error(`resnode: ${error.message}`);
  });
  const look = async ({ file, source }: ImageSource) => {
    const image = await decodeImage(source, { ...decoding, name: file });
    const found = await task.look(opened, image);
    const { width, height } = image;
    if (out === undefined) return { image: { file, width, height }, found, drawn: {} };
    const shown = decoding.depth === 16 ? await decodeImage(source, { ...decoding, depth: 8 }) : image;
    return { image: { file, width, height }, found, drawn: await task.draw(shown as Image, found) };
  };
  const prepare = (part: readonly ImageSource[]) => Promise.allSettled(part.map(look));
  for await (const { begin, end, batch: looked } of readAhead(sources, batch, prepare)) {
    for (const [i, each] of looked.entries()) {
      if (each.status === 'rejected') {
        await broken.guard(Promise.reject(each.reason));
        continue;
      }
      const { image, found, drawn } = each.value;
      const written = Object.entries(drawn).map(([ending, picture]) => {
        const path = join(out!, `${names[begin + i]}${ending}`);
        writeFileAtomically(path, [picture]);
        return path;
      });
      task.print(image, found, written);
    }
    progress?.update(end);
  }
  progress?.end();
  broken.end(sources.length);
}
