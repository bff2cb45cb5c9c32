/**
 * The targets for training the stages after region proposals in MS-CNN (github.com/zhaoweicai/mscnn) and Cascade R-CNN
 * (github.com/zhaoweicai/cascade-rcnn), proposal_target_layer.cpp of both. Both corners of a box are pixels of it. Rows
 * of ground truth are image, corners, class, whether it is ignored, and in Cascade R-CNN whether it is difficult. This
 * eighth value distinguishes the forks, which differ if there are too few regions.
 *
 * A top has its largest number of rows. If fewer regions are found, the forks' tops are smaller; here the regions are
 * repeated in turn, so the mean of a loss is still over the regions that were found.
 */
import { drawn, seededRandom } from '../base/random.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { showNumber } from '../caffe/json.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import {
  type Four,
  isClassAware,
  type Normalisation,
  normalisationOf,
  overlapOfSides,
  sidesOf,
} from './box-regression.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { type Corners, regionAt } from './overlap.ts';

export const regionTargetLayers: Layers = {
  ProposalTarget: { build: proposalTarget, bottoms: [2, 2], tops: [6, 7] },
};

interface Parameters {
  readonly cls_num?: number;
  readonly batch_size: number;
  readonly fg_fraction: number;
  readonly num_img_per_batch: number;
  readonly fg_thr: number;
  readonly bg_thr_hg: number;
  readonly bg_thr_lw: number;
  readonly img_width?: number;
  readonly img_height?: number;
  readonly iou_weighted: boolean;
  readonly bbox_thr_lw: number;
  readonly bbox_thr_hg: number;
  readonly pickup_discard: boolean;
  readonly append_gtbox: boolean;
}

/** A box by its first corner and sides. */
interface Region {
  readonly image: number;
  readonly box: Four;
}

interface Truth extends Region {
  readonly label: number;
  readonly isIgnored: boolean;
}

/** A region with the object that it overlaps most; undefined if its image has none. */
interface Matched extends Region {
  readonly truth: Truth | undefined;
  readonly overlap: number;
}

const SEED = 3;

/** The smallest sides of a randomly drawn background box. */
const LEAST_SIDE = 32;

const cornersOf = ([x, y, width, height]: Four): Corners => [x, y, x + width - 1, y + height - 1];

function proposalTarget(context: LayerContext): Built {
  const param = context.layer.proposal_target_param;
  const p = withDefaults<Parameters>('ProposalTargetParameter', param);
  const classes = p.cls_num ?? 0;
  const [regions, truths] = context.shapes as [Shape, Shape];
  const refuse = (field: string, text: string) =>
    context.fail('proposal', text, positionOf(param, field) ?? positionOf(param));
  if (regions[1] !== 5 || elementCount(regions) !== 5 * regions[0]!)
    context.fail('shape', `takes regions R×5 first, found ${showShape(regions)}`);
  const width = truths[1] ?? 0;
  if ((width !== 7 && width !== 8) || elementCount(truths) !== width * truths[0]!)
    context.fail(
      'shape',
      `takes boxes of ground truth second, G×7 (image, x1, y1, x2, y2, class, ignored) or G×8 (followed by difficult), found ${showShape(truths)}`,
    );
  if (classes < 2) refuse('cls_num', `cls_num must be at least 2, found ${classes}`);
  if (p.batch_size !== -1 && p.batch_size < 1)
    refuse('batch_size', `batch_size must be at least 1, or -1 for all, found ${p.batch_size}`);
  if (p.fg_thr < p.bg_thr_hg)
    refuse(
      'bg_thr_hg',
      `bg_thr_hg must be at most fg_thr, ${showNumber(p.fg_thr)}; found ${showNumber(p.bg_thr_hg)}`,
    );
  const [imageWidth, imageHeight] = [p.img_width ?? 0, p.img_height ?? 0];
  if (imageWidth <= LEAST_SIDE || imageHeight <= LEAST_SIDE)
    refuse(
      'img_width',
      `img_width and img_height must be above ${LEAST_SIDE}, found ${imageWidth} and ${imageHeight}`,
    );
  const isCascade = width === 8;
  const normalisation = normalisationOf(context);
  const isAware = isClassAware(context);
  const rows = p.batch_size === -1 ? regions[0]! + (p.append_gtbox ? truths[0]! : 0) : p.batch_size;
  const sides = 4 * (isAware ? classes : 2);
  const draw = seededRandom(SEED);
  const tops = [5, 1, sides, sides, sides, 6, 1].map((each): Shape => [rows, each, 1, 1]);
  const layer: JavaScriptLayer = {
    shapes: () => tops.slice(0, context.topCount),
    forward: ([proposed, given]) => {
      const known = truthsOf(given!.data, width, p.num_img_per_batch, classes);
      const all = [...regionsOf(proposed!.data, p.num_img_per_batch), ...(p.append_gtbox ? known : [])];
      const matched = all.map((each) => best(each, known, isCascade ? 1 : 0));
      const { objects, others } = picked(matched, p, draw);
      const count = objects.length + others.length;
      const missing = isCascade || p.batch_size === -1 ? (count === 0 ? 1 : 0) : p.batch_size - count;
      const chance = () => byChance(known, p, isCascade ? 1 : 0, draw);
      const found = [...objects, ...others, ...Array.from({ length: missing }, chance)];
      const result = tops.map((shape) => new Float32Array(elementCount(shape)));
      for (let row = 0; row < rows; row++) {
        const index = row % found.length;
        writeRow(result, row, sides, found[index]!, index < objects.length, p, normalisation, isAware);
      }
      if (context.topCount > 6) weigh(result[6]!, result[1]!, result[5]!, p);
      return result.slice(0, context.topCount);
    },
  };
  return buildJavaScript(layer, context);
}

function regionsOf(data: Float32Array, images: number): Region[] {
  const rows = Array.from({ length: data.length / 5 }, (_, row) => regionAt(data, row));
  return rows
    .filter(([image]) => image >= 0)
    .map(([image, ...corners]) => {
      if (image >= images)
        throw new Error(
          `a region belongs to image ${image}, but num_img_per_batch is ${images}; give the number of images in a batch`,
        );
      return { image, box: sidesOf(corners) };
    });
}

function truthsOf(data: Float32Array, width: number, images: number, classes: number): Truth[] {
  const rows = Array.from({ length: data.length / width }, (_, row) =>
    data.subarray(row * width, (row + 1) * width),
  );
  return rows
    .filter((row) => row[0]! >= 0)
    .map((row, i) => {
      const [image, x1, y1, x2, y2, label, ignored] = row as unknown as [number, ...Corners, number, number];
      if (image >= images || !(label >= 1 && label < classes))
        throw new Error(
          `box ${i} of the ground truth has image ${image} and class ${label}; expected an image below num_img_per_batch, ${images}, and a class from 1 to ${classes - 1}`,
        );
      return { image, box: sidesOf([x1, y1, x2, y2]), label: Math.trunc(label), isIgnored: ignored !== 0 };
    });
}

function best(region: Region, truths: readonly Truth[], least: 0 | 1): Matched {
  let truth: Truth | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const each of truths) {
    if (each.image !== region.image) continue;
    const overlap = Math.fround(overlapOfSides(region.box, each.box, least));
    if (overlap > most) [truth, most] = [each, overlap];
  }
  return { ...region, truth, overlap: truth === undefined ? 0 : most };
}

/** Regions of objects and of background, up to the size of a batch. */
function picked(
  matched: readonly Matched[],
  p: Parameters,
  draw: () => number,
): { objects: Matched[]; others: Matched[] } {
  const [from, high, low] = [p.fg_thr, p.bg_thr_hg, p.bg_thr_lw].map(Math.fround) as [number, number, number];
  const isOther = ({ overlap }: Matched) => overlap >= low && overlap < high;
  const all = matched.filter(({ overlap, truth }) => overlap >= from && truth?.isIgnored === false);
  const background = matched.filter((each) => each.overlap < from && isOther(each));
  if (p.batch_size === -1) return { objects: all, others: background };
  const objects = drawn(all, Math.round(Math.fround(p.fg_fraction) * p.batch_size), draw);
  const room = p.batch_size - objects.length;
  if (background.length > room || !p.pickup_discard)
    return { objects, others: drawn(background, room, draw) };
  const discarded = matched.filter((each) => each.overlap < from && !isOther(each));
  return { objects, others: [...background, ...discarded.slice(0, room - background.length)] };
}

/** A random box that is not an object. */
function byChance(truths: readonly Truth[], p: Parameters, least: 0 | 1, draw: () => number): Matched {
  const below = (count: number) => Math.floor(draw() * count);
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const image = below(p.num_img_per_batch);
    const [x, y] = [below(p.img_width! - LEAST_SIDE), below(p.img_height! - LEAST_SIDE)];
    const box: Four = [
      x,
      y,
      Math.max(below(p.img_width! - x), LEAST_SIDE),
      Math.max(below(p.img_height! - y), LEAST_SIDE),
    ];
    const { overlap } = best({ image, box }, truths, least);
    if (overlap < Math.fround(p.fg_thr)) return { image, box, truth: undefined, overlap: 0 };
  }
  throw new Error(
    'there are too few regions for the batch, and 10,000 random boxes all overlapped objects: give more regions, or a higher fg_thr',
  );
}

/** Rows of regions, labels, targets, their inside and outside weights, and the matched objects. */
function writeRow(
  [rois, labels, targets, inside, outside, matches]: readonly Float32Array[],
  row: number,
  sides: number,
  { image, box, truth, overlap }: Matched,
  isObject: boolean,
  p: Parameters,
  { means, stds }: Normalisation,
  isAware: boolean,
): void {
  rois!.set([image, ...cornersOf(box)], 5 * row);
  if (!isObject || truth === undefined) return;
  labels![row] = truth.label;
  matches!.set([truth.label, ...cornersOf(truth.box), overlap], 6 * row);
  const at = row * sides + 4 * (isAware ? truth.label : 1);
  const middle = (of: Four, side: 0 | 1) => of[side] + of[side + 2]! / 2;
  const moved = [
    (middle(truth.box, 0) - middle(box, 0)) / box[2],
    (middle(truth.box, 1) - middle(box, 1)) / box[3],
    Math.log(truth.box[2] / box[2]),
    Math.log(truth.box[3] / box[3]),
  ];
  moved.forEach((each, k) => {
    targets![at + k] = (each - means[k]!) / stds[k]!;
  });
  if (overlap < Math.fround(p.bbox_thr_lw) || overlap > Math.fround(p.bbox_thr_hg)) return;
  inside!.fill(1, at, at + 4);
  outside!.fill(1, at, at + 4);
}

/** All objects together have the weight fg_fraction of all rows. With iou_weighted their overlap divides it among them. */
function weigh(weights: Float32Array, labels: Float32Array, matches: Float32Array, p: Parameters): void {
  const own = Array.from(labels, (label, row) => (label > 0 && p.iou_weighted ? matches[6 * row + 5]! : 1));
  const sum = (isObject: boolean) =>
    own.reduce((all, weight, row) => all + (labels[row]! > 0 === isObject ? weight : 0), 0);
  const [objects, others] = [sum(true), sum(false)];
  own.forEach((weight, row) => {
    const isObject = labels[row]! > 0;
    const part = isObject ? p.fg_fraction / objects : (1 - p.fg_fraction) / others;
    weights[row] = objects === 0 ? weight : weight * part * labels.length;
  });
}
