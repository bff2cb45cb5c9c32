/**
 * The losses of region proposals: DetectionLoss of MS-CNN (github.com/zhaoweicai/mscnn, detection_loss_layer.cu;
 * arXiv:1607.07155, section 3.1) and DetectionGroupLoss of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn,
 * detection_group_loss_layer.cpp). Each is the mean classification loss over the kept positions, all objects and some of the
 * background, plus lambda times the mean regression loss over objects. The top has two values, as in the forks: this sum,
 * and its second part.
 */
import { seededRandom } from '../base/random.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Normalisation, normalisationOf } from './box-regression.ts';
import {
  BOX_PLANE,
  classAt,
  type FieldMaps,
  fieldMapsOf,
  ignoredLabel,
  middleOf,
  overlapAt,
} from './field-maps.ts';
import {
  eachPlace,
  type FieldLoss,
  FLT_MIN,
  type GroupLoss,
  type ItemLoss,
  keepOfImage,
  keepOfItem,
  softmaxAt,
} from './field-sampling.ts';
import { buildHostLoss, type LossWithDiffs } from './host-loss.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const fieldLosses: Layers = {
  DetectionLoss: { build: detectionLoss, bottoms: [2, 2], isLoss: true },
  DetectionGroupLoss: { build: detectionGroupLoss, bottoms: [3, 3], isLoss: true },
};

/** How a loss interprets its maps. */
interface Rules {
  readonly lambda: number;
  readonly objectness: boolean;
  readonly ignored: number | undefined;
  readonly isSmooth: boolean;
  readonly normalisation: Normalisation;
  /** The bounds of regressions, of the centre and of the sides; null: no bounds. */
  readonly bounds: readonly [centre: Range, sides: Range] | null;
}

type Range = readonly [least: number, most: number];

/** The positions that count, item by item, with their weights. */
interface Kept {
  /** 1: it does. */
  readonly places: Uint8Array;
  readonly weights: Float64Array;
}

const SEED = 3;

function rulesOf(context: LayerContext, p: FieldLoss, isSmooth: boolean, isBound: boolean): Rules {
  const normalisation = normalisationOf(context);
  const { means, stds } = normalisation;
  const bound = (a: 0 | 2, most: number): Range => {
    const [mean, std] = [(means[a]! + means[a + 1]!) / 2, Math.sqrt(stds[a]! * stds[a + 1]!)];
    return [(-most - mean) / std, (most - mean) / std];
  };
  return {
    lambda: p.lambda,
    objectness: p.objectness,
    ignored: ignoredLabel(context),
    isSmooth,
    normalisation,
    bounds: isBound ? [bound(0, 1 / p.field_xyr), bound(2, Math.log(p.field_whr))] : null,
  };
}

function detectionLoss(context: LayerContext): Built {
  const param = context.layer.detection_loss_param;
  const p = withDefaults<ItemLoss>('DetectionLossParameter', param);
  const read = fieldMapsOf(context, p, param);
  const rules = rulesOf(context, p, p.bb_smooth, true);
  const draw = seededRandom(SEED);
  return buildHostLoss(context, [1, 1, 1, 2], 1, (bottoms) => {
    const maps = read(bottoms);
    checkClasses(maps, rules);
    const places = new Uint8Array(maps.items * maps.rows * maps.columns);
    for (let item = 0; item < maps.items; item++) keepOfItem(maps, item, p, places, draw);
    const weights = new Float64Array(places.length).fill(1);
    if (p.iou_weighted)
      eachPlace(maps, (item, place, index) => {
        if (classAt(maps, item, place) !== 0) weights[index] = overlapAt(maps, item, place);
      });
    return lossOf(maps, { places, weights }, rules, p);
  });
}

const MININGS = ['random', 'bootstrap', 'mixture'];
const RANKINGS = ['conf_prob', 'conf_loss'];
const BOX_LOSSES = ['Smooth_L1', 'Euclidean_L2'];

function detectionGroupLoss(context: LayerContext): Built {
  const param = context.layer.detection_group_loss_param;
  const p = withDefaults<GroupLoss>('DetectionGroupLossParameter', param);
  const known: readonly (readonly [keyof GroupLoss, readonly string[]])[] = [
    ['neg_mining_type', MININGS],
    ['neg_ranking_type', RANKINGS],
    ['bbox_loss_type', BOX_LOSSES],
  ];
  for (const [field, words] of known)
    if (!words.includes(String(p[field])))
      context.fail(
        'proposal',
        `${field} must be ${words.map((word) => `"${word}"`).join(' or ')}, found "${p[field]}"`,
        positionOf(param, field),
      );
  if (p.batch_size !== -1 && p.batch_size < 1)
    context.fail(
      'proposal',
      `batch_size must be at least 1, or -1 for all objects, found ${p.batch_size}`,
      positionOf(param, 'batch_size'),
    );
  const read = fieldMapsOf(context, p, param);
  // The fork applies bounds if both fields are written, whatever their defaults.
  const isBound = param?.field_xyr !== undefined && param?.field_whr !== undefined;
  const rules = rulesOf(context, p, p.bbox_loss_type === 'Smooth_L1', isBound);
  const draw = seededRandom(SEED);
  return buildHostLoss(context, [1, 1, 1, 2], 2, (bottoms) => {
    const maps = read(bottoms);
    checkClasses(maps, rules);
    const places = new Uint8Array(maps.items * maps.rows * maps.columns);
    const perImage = maps.fields.length * maps.rows * maps.columns;
    for (let first = 0; first < places.length; first += perImage)
      keepOfImage(maps, first, perImage, p, places, draw);
    return lossOf(maps, { places, weights: new Float64Array(places.length).fill(1) }, rules, p);
  });
}

/** @throws Error for a class without a score, with its position */
function checkClasses(maps: FieldMaps, { objectness, ignored }: Rules): void {
  eachPlace(maps, (item, place) => {
    const label = classAt(maps, item, place);
    const isKnown = label >= 0 && (objectness || label < maps.classes);
    if (!isKnown && label !== ignored)
      throw new Error(
        `the label of item ${item}, row ${Math.floor(place / maps.columns)}, column ${place % maps.columns} is ${label}; it must be a class, from 0 to ${maps.classes - 1}${ignored === undefined ? '' : `, or ${ignored}, which is ignored`}`,
      );
  });
}

/** All objects together weigh 1 to bg_multiple of the background (pos_neg_weighted). */
function balance(maps: FieldMaps, { places, weights }: Kept, multiple: number): void {
  const sums = { objects: 0, others: 0, count: 0 };
  eachPlace(maps, (item, place, index) => {
    if (places[index] === 0) return;
    sums.count++;
    sums[classAt(maps, item, place) > 0 ? 'objects' : 'others'] += weights[index]!;
  });
  const share = 1 / (1 + multiple);
  eachPlace(maps, (item, place, index) => {
    const isObject = classAt(maps, item, place) > 0;
    const [part, sum] = isObject ? [share, sums.objects] : [1 - share, sums.others];
    if (sum !== 0) weights[index]! *= (part * sums.count) / sum;
  });
}

function lossOf(maps: FieldMaps, kept: Kept, rules: Rules, p: FieldLoss): LossWithDiffs {
  if (p.pos_neg_weighted) balance(maps, kept, p.bg_multiple);
  const scores = new Float32Array(maps.scores.length);
  const boxes = maps.boxes === maps.scores ? scores : new Float32Array(maps.boxes.length);
  const ofClasses = classLoss(maps, kept, rules, scores);
  const ofBoxes = rules.lambda * boxLoss(maps, kept, rules, boxes);
  return { loss: [ofClasses + ofBoxes, ofBoxes], diffs: boxes === scores ? [scores] : [scores, boxes] };
}

function classLoss(
  maps: FieldMaps,
  { places, weights }: Kept,
  { objectness, ignored }: Rules,
  diffs: Float32Array,
): number {
  const labelAt = (item: number, place: number) => {
    const label = classAt(maps, item, place);
    return objectness ? Math.min(1, label) : label;
  };
  const counts = (item: number, place: number, index: number) =>
    places[index] === 1 && labelAt(item, place) !== ignored;
  let count = 0;
  eachPlace(maps, (item, place, index) => {
    if (counts(item, place, index)) count++;
  });
  let sum = 0;
  eachPlace(maps, (item, place, index) => {
    if (!counts(item, place, index)) return;
    const label = labelAt(item, place);
    const weight = weights[index]! / count;
    for (const [k, share] of softmaxAt(maps, item, place).entries()) {
      if (k === label) sum -= Math.log(Math.max(share, FLT_MIN)) * weight;
      diffs[maps.scoreAt(item, k, place)] = (share - (k === label ? 1 : 0)) * weight;
    }
  });
  return sum;
}

/** Regressions beyond their bounds count as if they were at them. Their diffs are computed at the bounds. */
function boxLoss(maps: FieldMaps, { places }: Kept, rules: Rules, diffs: Float32Array): number {
  const { bounds, ignored, isSmooth, lambda } = rules;
  const counts = (item: number, place: number, index: number) => {
    const label = classAt(maps, item, place);
    return places[index] === 1 && label !== 0 && label !== ignored;
  };
  let count = 0;
  eachPlace(maps, (item, place, index) => {
    if (counts(item, place, index)) count += 4;
  });
  let sum = 0;
  eachPlace(maps, (item, place, index) => {
    if (!counts(item, place, index)) return;
    const target = targetAt(maps, item, place, rules.normalisation);
    target.forEach((expected, k) => {
      const at = maps.boxAt(item, k, place);
      const [least, most] = bounds?.[k < 2 ? 0 : 1] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
      const off = Math.min(Math.max(maps.boxes[at]!, least), most) - expected;
      const isFar = isSmooth && Math.abs(off) >= 1;
      sum += isFar ? Math.abs(off) - 0.5 : (off * off) / 2;
      diffs[at] = ((isFar ? Math.sign(off) : off) * lambda) / count;
    });
  });
  return count === 0 ? 0 : sum / count;
}

/** The target regressions of a position. */
function targetAt(maps: FieldMaps, item: number, place: number, { means, stds }: Normalisation): number[] {
  const { width, height } = maps.fields[item % maps.fields.length]!;
  const value = (k: number) => maps.labels[maps.labelAt(item, BOX_PLANE + k, place)]!;
  const [x, y] = middleOf(maps, item, place);
  return [
    (value(0) - x) / width,
    (value(1) - y) / height,
    // Objects are at least two pixels wide and high.
    Math.log(Math.max(value(2), 2) / width),
    Math.log(Math.max(value(3), 2) / height),
  ].map((each, k) => (each - means[k]!) / stds[k]!);
}
