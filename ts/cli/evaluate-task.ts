/** `resnode evaluate --task detect` and `--task segment` compare boxes and maps with the ground truth. */
import { existsSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { InWords } from '../base/describe.ts';
import { ArgumentError, ImageError } from '../base/errors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { openDetector } from '../images/detect/detector.ts';
import { countedLabels, detectSamples } from '../images/detect/evaluate-detector.ts';
import { readAnnotations } from '../images/evaluate/boxes/annotations.ts';
import { type DetectionScores, scoreDetections } from '../images/evaluate/boxes/detection-scores.ts';
import type { AnnotatedImage, ScoredImage } from '../images/evaluate/boxes/truth.ts';
import type { EachOptions } from '../images/evaluate/each-sample.ts';
import type { SkippedImage } from '../images/evaluate/evaluate-images.ts';
import { PixelCounts, type SegmentationScores } from '../images/evaluate/maps/pixel-counts.ts';
import { classesOf, segmentSamples } from '../images/segment/evaluate-segmenter.ts';
import { openSegmenter } from '../images/segment/segmenter.ts';
import { type BoxFlags, boxesOf, boxOptions } from './detect.ts';
import { flag, group, own } from './flag.ts';
import { imageSources } from './image-files.ts';
import { type AnyPrecisionFlags, type DeviceFlags, openFlagged, precisionOf } from './options.ts';
import { limitsOf } from './preprocess-options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, type Share } from './share.ts';
import { tableLines } from './table.ts';
import { chooseWholePreprocess, type WholePreprocessFlags } from './whole-preprocess-options.ts';

export type Task = 'classify' | 'detect' | 'segment';

export interface TaskFlags
  extends DeviceFlags,
    AnyPrecisionFlags,
    WholePreprocessFlags,
    BoxFlags,
    ProgressFlags {
  task: Task;
  truth?: string;
  model?: string;
  weights?: string;
  images?: string;
  labels?: string;
  batch?: number;
  limit?: number;
  skipBroken?: boolean;
  minScore?: number;
  top?: number;
  output?: string;
  ignoreLabel?: number;
  out?: string;
  json?: boolean;
}

/** Flags that only some tasks accept; all tasks accept the other flags. */
const ONLY: Readonly<Record<string, readonly Task[]>> = {
  ...Object.fromEntries(
    [
      ...['crops', 'multiScale', 'replay', 'resume', 'databaseOrder', 'inputShape', 'partialWeights'],
      ...['reshapeWeights', 'report', 'specificity', 'details'],
    ].map((name) => [name, ['classify']]),
  ),
  ...Object.fromEntries(['truth', 'longestSide', 'pad'].map((name) => [name, ['detect', 'segment']])),
  ...Object.fromEntries(['minScore', 'top', 'nms', 'boxStds', 'boxMeans'].map((name) => [name, ['detect']])),
  ...Object.fromEntries(['output', 'ignoreLabel'].map((name) => [name, ['segment']])),
};

/** Adds --task and the flags of tasks other than classification. */
export const taskOptions = (command: Command): Command =>
  group(
    command,
    'Detectors and segmenters:',
    own('task', 'classify'),
    own('truth'),
    own('longestSide'),
    own('pad'),
    flag('evaluateDetector', 'minScore', '--min-score <score>'),
    flag('evaluateDetector', 'top', '--top <n>'),
    ...boxOptions(),
    flag('openSegmenter', 'output', '--output <blob>'),
    flag('evaluateSegmenter', 'ignored', '--ignore-label <class>'),
  );

/** @throws ArgumentError for a flag of another task */
export function checkTaskFlags(command: Command, task: Task): void {
  for (const [name, tasks] of Object.entries(ONLY)) {
    if (tasks.includes(task) || command.getOptionValueSource(name) !== 'cli') continue;
    const { long } = command.options.find((option) => option.attributeName() === name)!;
    throw new ArgumentError(long!, `--task ${tasks.join(' or ')}, which alone takes it`, `--task ${task}`);
  }
}

/** @param flags Must have model, weights and images. */
export async function evaluateTask(flags: TaskFlags, share: Share): Promise<void> {
  const { task, out, json } = flags;
  const { truth } = flags;
  if (truth === undefined)
    throw new ArgumentError(
      'truth',
      task === 'detect'
        ? "a folder of PASCAL VOC's .xml files, or COCO's .json"
        : 'a folder of label maps, PNG files named as the images',
      undefined,
    );
  const preprocess = chooseWholePreprocess(flags, flags.model!);
  const files = async () =>
    (await imageSources([flags.images!], '--images')).map(({ file }) => file).slice(0, flags.limit);
  await using device = await openFlagged(flags, share.communicator);
  const { precision, calibration } = { calibration: undefined, ...precisionOf(flags) };
  const net = {
    model: flags.model!,
    weights: flags.weights!,
    preprocess,
    ...(flags.labels === undefined ? {} : { labels: flags.labels }),
    ...(calibration === undefined ? {} : { calibration }),
  };
  const { batch = 8 } = flags;
  const options = { device, precision, maxBatch: Math.min(batch, 256), ...limitsOf(flags) };
  const begin = performance.now();
  const found = await (task === 'detect'
    ? detected(net, options, async () => marked(await files(), truth), flags, share)
    : segmented(net, options, async () => mapped(await files(), truth), flags, share));
  if (found === null) return;
  const { scores, total } = found;
  const imagesPerSecond = (1000 * total) / (performance.now() - begin);
  sayBroken(scores.skipped, total, flags);
  const whole = { task, images: flags.images, truth, model: flags.model, weights: flags.weights };
  const kept = { ...whole, scores, imagesPerSecond };
  if (out !== undefined) writeFileAtomically(out, [`${JSON.stringify(kept, null, 2)}\n`]);
  if (json) console.log(JSON.stringify(kept));
  else if ('coco' in scores) printDetection(scores);
  else printSegmentation(scores);
}

type Net = Parameters<typeof openDetector>[0];
type Options = NonNullable<Parameters<typeof openDetector>[1]>;

async function detected(
  net: Net,
  options: Options,
  make: () => Promise<ReturnType<typeof marked>>,
  flags: TaskFlags,
  share: Share,
) {
  const { minScore, top, batch = 8 } = flags;
  await using detector = await share.inTurn(() => openDetector(net, { ...options, ...boxesOf(flags) }));
  const images: ScoredImage[] = [];
  let labels: readonly string[] = [];
  const check = async () => {
    const samples = await make();
    labels = countedLabels(detector, samples);
    return samples;
  };
  const detectOptions = {
    ...(minScore === undefined ? {} : { minScore }),
    ...(top === undefined ? {} : { top }),
  };
  const { skipped, total } = await eachShared(share, batch, flags, check, {
    batches: (samples, each) => detectSamples(detector, samples, { ...detectOptions, ...each }),
    take: ({ results }) => images.push(...results),
  });
  return isFirst(share) ? { scores: { ...scoreDetections(images, { labels }), skipped }, total } : null;
}

async function segmented(
  net: Net,
  options: Options,
  make: () => Promise<ReturnType<typeof mapped>>,
  flags: TaskFlags,
  share: Share,
) {
  const { output, ignoreLabel: ignored, batch = 8 } = flags;
  await using segmenter = await share.inTurn(() =>
    openSegmenter(net, { ...options, ...(output === undefined ? {} : { output }) }),
  );
  const counts = new PixelCounts(classesOf(segmenter), ignored);
  const segmentOptions = ignored === undefined ? {} : { ignored };
  const { skipped, total } = await eachShared(share, batch, flags, make, {
    batches: (samples, each) => segmentSamples(segmenter, samples, { ...segmentOptions, ...each }),
    take: (part) => counts.join(part.counts),
  });
  return isFirst(share) ? { scores: { ...counts.scores(), skipped }, total } : null;
}

/** The result of a batch, in any task. */
interface TaskPart {
  readonly skipped: readonly SkippedImage[];
}

/** Distributes samples among the processes and collects the results of batches. */
async function eachShared<Sample, Part extends TaskPart>(
  share: Share,
  batch: number,
  flags: TaskFlags,
  make: () => Promise<readonly Sample[]>,
  {
    batches,
    take,
  }: {
    readonly batches: (samples: readonly Sample[], each: EachOptions) => AsyncGenerator<Part>;
    readonly take: (part: Part) => void;
  },
): Promise<{ readonly skipped: readonly SkippedImage[]; readonly total: number }> {
  const { own, total } = await share.deal(batch, make);
  const progress = new Progress('images', total, flags);
  const skipped: SkippedImage[] = [];
  let done = 0;
  await share.collect<Part>(
    Math.ceil(total / batch),
    async (put, signal) => {
      for await (const part of batches(own, { batch, signal, skipBroken: true })) put(part);
    },
    (part) => {
      skipped.push(...part.skipped);
      take(part);
      done = Math.min(done + batch, total);
      progress.update(done);
    },
  );
  progress.end();
  return { skipped, total };
}

const stemOf = (file: string): string => basename(file, extname(file));

/** Images with their objects, matched by name, and by folder where images in several folders have the same name. */
function marked(files: readonly string[], truth: string) {
  const byStem = new Map<string, AnnotatedImage[]>();
  for (const each of readAnnotations(truth)) {
    const stem = stemOf(each.name);
    byStem.set(stem, [...(byStem.get(stem) ?? []), each]);
  }
  return known(files, truth, (image) => {
    const alike = byStem.get(stemOf(image)) ?? [];
    const named = alike.filter(({ name }) => basename(name) === basename(image));
    const candidates = named.length > 0 ? named : alike;
    const found =
      candidates.length < 2
        ? candidates[0]
        : candidates.find(({ name }) => resolve(image).endsWith(`/${name}`));
    return found === undefined ? null : { image, truth: found };
  }).map(({ image, truth: found }) => ({ ...found, image }));
}

/** Images with their label maps, matched by name. */
const mapped = (files: readonly string[], truth: string) =>
  known(files, truth, (image) => {
    const map = join(truth, `${stemOf(image)}.png`);
    return existsSync(map) ? { image, truth: map } : null;
  });

/**
 * The images that have ground truth; the others are listed on stderr.
 * @throws ArgumentError if no image has any, or two have the same
 */
function known<T extends { readonly image: string; readonly truth: AnnotatedImage | string }>(
  files: readonly string[],
  truth: string,
  find: (file: string) => T | null,
): T[] {
  const unknown: string[] = [];
  const imageOf = new Map<T['truth'], string>();
  const found = files.flatMap((file) => {
    const sample = find(file);
    if (sample === null) {
      unknown.push(file);
      return [];
    }
    const other = imageOf.get(sample.truth);
    if (other !== undefined)
      throw new ArgumentError(
        '--images',
        `images of different names, by which ${truth} is searched`,
        new InWords(`${other} and ${file}`),
        'give the images of one folder, or of one format, at a time',
      );
    imageOf.set(sample.truth, file);
    return [sample];
  });
  if (found.length === 0)
    throw new ArgumentError(
      '--truth',
      'what is known of the images, by their names',
      `${truth} without ${unknown[0]}`,
    );
  if (unknown.length > 0)
    console.error(
      `resnode: ${unknown.length} of ${files.length} images are not evaluated, because ${truth} does not mention them: ${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ', …' : ''}`,
    );
  return found;
}

function sayBroken(skipped: readonly SkippedImage[], total: number, { skipBroken }: TaskFlags): void {
  for (const { reason } of skipped) console.error(`resnode: skipped: ${reason}`);
  if (skipped.length === 0) return;
  console.error(`resnode: skipped ${skipped.length} of ${total} images, which cannot be read`);
  if (!skipBroken) process.exitCode = 1;
  if (skipped.length === total)
    throw new ImageError('image/none-left', undefined, 'no image could be read; see above');
}

const percent = (value: number | null): string => (value === null ? '–' : (100 * value).toFixed(2));

function printDetection({ images, voc07, voc10, coco, classes }: DetectionScores): void {
  console.log(`${images} images; mean average precision in percent`);
  console.log(`VOC 2007 (11 recalls)  ${percent(voc07)}`);
  console.log(`VOC 2010 (area)        ${percent(voc10)}`);
  const { ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100 } = coco;
  console.log(`COCO                   ${percent(ap)}  (at 0.5 ${percent(ap50)}, at 0.75 ${percent(ap75)})`);
  console.log(
    `  small ${percent(apSmall)}, medium ${percent(apMedium)}, large ${percent(apLarge)}; recall of 1, 10, 100 objects per image ${[ar1, ar10, ar100].map(percent).join(', ')}`,
  );
  const lines = tableLines(
    ['VOC 2007', 'VOC 2010', 'COCO', 'objects', 'found', 'class'],
    classes.map((each) => [
      ...[percent(each.voc07), percent(each.voc10), percent(each.coco)],
      ...[String(each.objects), String(each.found), each.label],
    ]),
  );
  for (const line of lines) console.log(line);
}

function printSegmentation(scores: SegmentationScores): void {
  console.log(`${scores.images} images, ${scores.pixels} pixels; in percent`);
  console.log(`pixel accuracy         ${percent(scores.pixelAccuracy)}`);
  console.log(`mean accuracy          ${percent(scores.meanAccuracy)}`);
  console.log(`mean IU                ${percent(scores.meanIu)}`);
  console.log(`frequency weighted IU  ${percent(scores.frequencyWeightedIu)}`);
  const lines = tableLines(
    ['IU', 'accuracy', 'pixels', 'class'],
    scores.classes.map(({ iu, accuracy, pixels, label }) => [
      ...[percent(iu), percent(accuracy), String(pixels), label],
    ]),
  );
  for (const line of lines) console.log(line);
}
