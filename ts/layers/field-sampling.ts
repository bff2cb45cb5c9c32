/**
 * Selects the positions of maps from which region proposals learn. MS-CNN (detection_loss_layer.cu) takes all objects of an
 * item, Cascade R-CNN (detection_group_loss_layer.cpp) at most a batch of an image. Both take some of the background, either
 * at random or where the scores make it hardest.
 */
import { drawn, randomInteger } from '../base/random.ts';
import { classAt, type FieldMaps, overlapAt } from './field-maps.ts';

/** The parameters that both layers have. */
export interface FieldLoss {
  readonly lambda: number;
  readonly bg_threshold: number;
  readonly bg_multiple: number;
  readonly objectness: boolean;
  readonly pos_neg_weighted: boolean;
  readonly field_whr: number;
  readonly field_xyr: number;
}

export interface ItemLoss extends FieldLoss {
  readonly sample_mode: string;
  readonly bb_smooth: boolean;
  readonly iou_weighted: boolean;
  readonly cls_num?: number;
  readonly downsample_rate?: number;
}

export interface GroupLoss extends FieldLoss {
  readonly cls_num?: number;
  readonly neg_mining_type: string;
  readonly neg_ranking_type: string;
  readonly min_num_neg: number;
  readonly batch_size: number;
  readonly bbox_loss_type: string;
}

/** std::numeric_limits<float>::min(). */
export const FLT_MIN = 2 ** -126;

export function eachPlace(
  maps: FieldMaps,
  visit: (item: number, place: number, index: number) => void,
): void {
  const area = maps.rows * maps.columns;
  for (let item = 0; item < maps.items; item++)
    for (let place = 0; place < area; place++) visit(item, place, item * area + place);
}

/** The softmax of a place's scores. */
export function softmaxAt({ classes, scores, scoreAt }: FieldMaps, item: number, place: number): number[] {
  const own = Array.from({ length: classes }, (_, k) => scores[scoreAt(item, k, place)]!);
  const most = Math.max(...own);
  const powers = own.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** Keeps all objects of one item, and the background that sample_mode selects. */
export function keepOfItem(
  maps: FieldMaps,
  item: number,
  p: ItemLoss,
  places: Uint8Array,
  draw: () => number,
): void {
  const area = maps.rows * maps.columns;
  const counts = new Map<number, number>();
  const background: number[] = [];
  let objects = 0;
  for (let place = 0; place < area; place++) {
    const label = classAt(maps, item, place);
    const label1 = p.objectness ? Math.min(1, label) : label;
    counts.set(label1, (counts.get(label1) ?? 0) + 1);
    if (label !== 0) {
      places[item * area + place] = 1;
      objects++;
    } else if (overlapAt(maps, item, place) < Math.fround(p.bg_threshold)) background.push(place);
  }
  const share = p.sample_mode === 'mixture' ? 0.5 : 1;
  if (p.sample_mode === 'random' || p.sample_mode === 'mixture') {
    const most = Math.max(Math.trunc(objects * p.bg_multiple * share), 4 * (maps.classes - 1));
    const left = new Set(background);
    for (let i = 0; i < most && left.size > 0; i++) {
      const place = randomInteger(draw, area);
      if (left.delete(place)) places[item * area + place] = 1;
    }
  }
  if (p.sample_mode === 'bootstrap' || p.sample_mode === 'mixture')
    for (let k = 1; k < maps.classes; k++) {
      const most = Math.max(4, Math.trunc((counts.get(k) ?? 0) * p.bg_multiple * share));
      const score = (place: number) => maps.scores[maps.scoreAt(item, k, place)]!;
      for (const place of hardest(background, score).slice(0, most)) places[item * area + place] = 1;
    }
  if (!['random', 'mixture', 'bootstrap'].includes(p.sample_mode))
    for (const place of background) places[item * area + place] = 1;
}

/** The forks sort pairs of score and position, so of equal scores the later position comes first. */
const hardest = (places: readonly number[], score: (place: number) => number): number[] =>
  places.toSorted((a, b) => score(b) - score(a) || b - a);

/**
 * Samples the positions of one image, with all its kinds of boxes together.
 * @param first The first of its positions, which are numbered across all items.
 */
export function keepOfImage(
  maps: FieldMaps,
  first: number,
  count: number,
  p: GroupLoss,
  places: Uint8Array,
  draw: () => number,
): void {
  const area = maps.rows * maps.columns;
  const at = (index: number) => [Math.floor(index / area), index % area] as const;
  const indices = Array.from({ length: count }, (_, i) => first + i);
  const objects = indices.filter((index) => classAt(maps, ...at(index)) > 0);
  const background = indices.filter(
    (index) =>
      classAt(maps, ...at(index)) === 0 && overlapAt(maps, ...at(index)) < Math.fround(p.bg_threshold),
  );
  const share = p.batch_size === -1 ? objects.length : Math.round(p.batch_size / (1 + p.bg_multiple));
  const keptObjects = Math.min(share, objects.length);
  const requested =
    p.batch_size === -1
      ? Math.max(objects.length * p.bg_multiple, p.min_num_neg)
      : p.batch_size - keptObjects;
  const others = Math.min(requested, background.length);
  const hard = { random: 0, bootstrap: others, mixture: Math.round(others / 2) }[p.neg_mining_type] ?? 0;
  const isAll = background.length <= others;
  const picked = new Set(isAll || hard === 0 ? [] : ranked(maps, background, at, p).slice(0, hard));
  const left = background.filter((index) => !picked.has(index));
  for (const index of drawn(objects, keptObjects, draw)) places[index] = 1;
  for (const index of [...picked, ...drawn(left, others - picked.size, draw)]) places[index] = 1;
}

/** The background in the order of difficulty; the positions that the scores make hardest come first. */
function ranked(
  maps: FieldMaps,
  background: readonly number[],
  at: (index: number) => readonly [item: number, place: number],
  { neg_ranking_type }: GroupLoss,
): number[] {
  const ranks = new Map(
    background.map((index) => {
      const share = Math.fround(softmaxAt(maps, ...at(index))[0]!);
      const rank = neg_ranking_type === 'conf_prob' ? 1 - share : -Math.log(Math.max(share, FLT_MIN));
      return [index, Math.fround(rank)];
    }),
  );
  return hardest(background, (index) => ranks.get(index)!);
}
