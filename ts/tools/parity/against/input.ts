/** Compares a net's input, prepared here from an image, with the input in another program. */
import { integer, path } from '../../../base/kinds.ts';
import { optional, options, required, signature } from '../../../base/options.ts';
import { type Tensor, tensor } from '../../../device/tensor.ts';
import { type DecodeLimits, decodeImage, limitRows } from '../../../images/decode.ts';
import {
  decodingOf,
  type MeanImage,
  type Preprocess,
  preprocess,
  preprocessImage,
} from '../../../images/preprocess.ts';

/** The tolerance between two preparations of one image, in grey levels, which covers other decoders and resizers. */
const GREY_LEVELS = 1;

export interface InputComparison {
  readonly image: string;
  /** Largest difference, in the units of the input. */
  readonly absolute: number;
  /** Mean difference, in grey levels (of 255, before Preprocess.scale). */
  readonly mean: number;
  /** The tolerance for `mean`. */
  readonly tolerance: number;
  readonly ok: boolean;
  /** What the other program did, if it could be computed; null if the input agrees. */
  readonly cause: { readonly name: InputCauseName; readonly text: string } | null;
}

export type InputCauseName = 'channel-order' | 'mean' | 'scale' | 'resize' | 'several' | 'unknown';

const COMPARE_INPUT = signature('compareInput', {
  file: required(path, 'The path of an image.'),
  preprocess: required(preprocess, 'How the image is prepared.'),
  recorded: required(tensor, 'The recorded input, N×C×H×W.'),
  index: required(integer(0), 'The index of the image in the batch.'),
  limits: optional(options<DecodeLimits>(limitRows), 'none', 'Limits on the decoding.'),
});

/**
 * Prepares an image and compares it with image `index` of a recorded N×C×H×W input. If the difference exceeds the tolerance,
 * it tries other channel orders, means, scales and resizings, alone and together.
 * @throws ImageError, ArgumentError
 */
export async function compareInput(
  file: string,
  preprocess: Preprocess,
  recorded: Tensor,
  index: number,
  limits: DecodeLimits = {},
): Promise<InputComparison> {
  COMPARE_INPUT.check(file, preprocess, recorded, index, limits);
  const image = await decodeImage(file, decodingOf(preprocess, limits));
  const size = recorded.data.length / recorded.shape[0]!;
  const theirs = recorded.data.subarray(index * size, (index + 1) * size);
  const channels = recorded.shape[1] === 1 ? 1 : 3;
  const differenceWith = async (option: Preprocess) =>
    differenceOf(await preprocessImage(image, option, channels), theirs, option.scale ?? 1);
  const found = await differenceWith(preprocess);
  const result = { image: file, ...found, tolerance: GREY_LEVELS, ok: found.mean <= GREY_LEVELS };
  if (result.ok) return { ...result, cause: null };
  for (const { changes, option } of alternatives(preprocess, channels)) {
    if ((await differenceWith(option)).mean > GREY_LEVELS) continue;
    const name = changes.length === 1 ? changes[0]!.name : ('several' as const);
    return { ...result, cause: { name, text: changes.map(({ text }) => text).join(', and ') } };
  }
  const constant = constantMean(
    await preprocessImage(image, preprocess, channels),
    theirs,
    channels,
    preprocess.scale ?? 1,
  );
  return {
    ...result,
    cause:
      constant === null
        ? {
            name: 'unknown',
            text: 'no other channel order, mean, scale or resizing explains it: is it the same image and the same crop?',
          }
        : { name: 'mean', text: `the other side subtracts another mean: ${constant}` },
  };
}

interface Change {
  readonly name: Exclude<InputCauseName, 'several' | 'unknown'>;
  readonly text: string;
  readonly change: Partial<Preprocess>;
}

/** The preprocessing with one or more changes, those with the fewest first. */
function alternatives(preprocess: Preprocess, channels: number): { changes: Change[]; option: Preprocess }[] {
  const { order = 'BGR', scale = 1, crop } = preprocess;
  const other = order === 'BGR' ? 'RGB' : 'BGR';
  const choices: Change[][] = [
    channels === 3
      ? [
          {
            name: 'channel-order',
            text: `the channels are in the order ${other} there`,
            change: { order: other },
          },
        ]
      : [],
    meanChanges(preprocess.mean),
    [1, 1 / 255, 1 / 256, 1 / 128, 0.017]
      .filter((each) => Math.abs(each - scale) > 1e-6)
      .map((each) => ({
        name: 'scale' as const,
        text: `values are multiplied by ${Number(each.toPrecision(4))} there, here by ${Number(scale.toPrecision(4))}`,
        change: { scale: each },
      })),
    [
      {
        name: 'resize',
        text: 'the other side resizes the whole image to the crop, without its aspect ratio',
        change: { resize: crop },
      },
      {
        name: 'resize',
        text: 'the other side resizes the image to 256×256, without its aspect ratio (convert_imageset --resize_height=256 --resize_width=256), then cropped',
        change: { resize: { width: 256, height: 256 } },
      },
    ],
  ];
  const fits = ({ resize }: Preprocess) =>
    resize === null || !('width' in resize) || (resize.width >= crop.width && resize.height >= crop.height);
  let combinations: Change[][] = [[]];
  for (const some of choices)
    combinations = combinations.flatMap((list) => [list, ...some.map((each) => [...list, each])]);
  return combinations
    .filter((changes) => changes.length > 0)
    .sort((a, b) => a.length - b.length)
    .map((changes) => ({
      changes,
      option: Object.assign({}, preprocess, ...changes.map(({ change }) => change)) as Preprocess,
    }))
    .filter(({ option }) => fits(option));
}

function meanChanges(mean: Preprocess['mean']): Change[] {
  const given = 'shape' in mean ? pixelOf(mean) : mean;
  const list: Change[] = [{ name: 'mean', text: 'the other side subtracts no mean', change: { mean: [0] } }];
  if ('shape' in mean)
    list.push({
      name: 'mean',
      text: "the other side subtracts the mean image's average of each channel, not the image",
      change: { mean: given },
    });
  if (given.length === 3)
    list.push({
      name: 'mean',
      text: 'the other side subtracts the mean in reverse channel order',
      change: { mean: [...given].reverse() },
    });
  return given.every((value) => value === 0) ? list.slice(1) : list;
}

/** The average of each channel. */
function pixelOf({ shape, data }: MeanImage): number[] {
  const channels = shape.at(-3)!;
  const plane = data.length / channels;
  return Array.from(
    { length: channels },
    (_, c) => data.subarray(c * plane, (c + 1) * plane).reduce((sum, value) => sum + value, 0) / plane,
  );
}

function differenceOf(ours: Float32Array, theirs: Float32Array, scale: number) {
  if (ours.length !== theirs.length)
    return { absolute: Number.POSITIVE_INFINITY, mean: Number.POSITIVE_INFINITY };
  let [absolute, sum] = [0, 0];
  for (let i = 0; i < ours.length; i++) {
    const deviation = Math.abs(ours[i]! - theirs[i]!);
    absolute = Math.max(absolute, deviation);
    sum += deviation;
  }
  return { absolute, mean: sum / ours.length / scale };
}

/** Describes the difference of the means if it is one value per channel (to the grey level); otherwise null. */
function constantMean(
  ours: Float32Array,
  theirs: Float32Array,
  channels: number,
  scale: number,
): string | null {
  if (ours.length !== theirs.length) return null;
  const plane = ours.length / channels;
  const more = Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * plane; i < (c + 1) * plane; i++) sum += ours[i]! - theirs[i]!;
    return sum / plane;
  });
  const rest = ours.map((value, i) => value - more[Math.floor(i / plane)]!);
  if (differenceOf(rest, theirs, scale).mean > GREY_LEVELS) return null;
  return `${more.map((value) => (value / scale).toFixed(2)).join(', ')} more per channel than here`;
}
