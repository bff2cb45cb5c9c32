/**
 * Regions in the training of the stages of MS-CNN (github.com/zhaoweicai/mscnn) and Cascade R-CNN
 * (github.com/zhaoweicai/cascade-rcnn): their accuracy (bbox_accuracy_layer.cpp of both) and the selection of the hardest
 * (hard_mining_layer.cpp of the latter).
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Four, isClassAware, normalisationOf, overlapOfSides, sidesOf } from './box-regression.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import { type Corners, regionAt } from './overlap.ts';

export const stageLayers: Layers = {
  BboxAccuracy: { build: bboxAccuracy, bottoms: [3, 3], tops: [1, 2] },
  HardMining: { build: hardMining, bottoms: [2, Number.POSITIVE_INFINITY], tops: ANY },
};

/** If a region covers an object almost completely, it is the object's own box, which says nothing about regressions. */
const ITSELF = 0.975;

/**
 * Tops: the mean overlap of objects with the moved regions, and with the regions before they are moved; −1: no objects.
 */
function bboxAccuracy(context: LayerContext): Built {
  const normalisation = normalisationOf(context);
  const isAware = isClassAware(context);
  const [regressions, regions, matches] = context.shapes as [Shape, Shape, Shape];
  const count = regions[0] ?? 0;
  const sides = elementCount(regressions) / count;
  if (
    elementCount(regions) !== 5 * count ||
    elementCount(matches) !== 6 * count ||
    regressions[0] !== count ||
    sides < 8 ||
    sides % 4 !== 0 ||
    (!isAware && sides !== 8)
  )
    context.fail(
      'shape',
      `takes regressions R×4·classes${isAware ? '' : ' (R×8 with cls_aware: false)'}, regions R×5 and the objects that ProposalTarget matched, R×6; found ${context.shapes.map(showShape).join(', ')}`,
    );
  const layer: JavaScriptLayer = {
    shapes: () =>
      [
        [1, 1, 1, 1],
        [1, 1, 1, 1],
      ].slice(0, context.topCount),
    forward: ([deltas, rois, objects]) => {
      let [after, before, found] = [0, 0, 0];
      for (let row = 0; row < count; row++) {
        const [label, x1, y1, x2, y2, overlap] = objects!.data.subarray(
          6 * row,
          6 * row + 6,
        ) as unknown as readonly [number, ...Corners, number];
        if (label <= 0 || overlap > Math.fround(ITSELF)) continue;
        const k = isAware ? Math.trunc(label) : 1;
        if (4 * (k + 1) > sides)
          throw new Error(`an object has class ${k}, but the regressions are for ${sides / 4} classes`);
        const truth = sidesOf([x1, y1, x2, y2]);
        const region = sidesOf(regionAt(rois!.data, row).slice(1) as unknown as Corners);
        const [dx, dy, dw, dh] = [0, 1, 2, 3].map(
          (i) => deltas!.data[row * sides + 4 * k + i]! * normalisation.stds[i]! + normalisation.means[i]!,
        ) as [number, number, number, number];
        const [wide, tall] = [region[2] * Math.exp(dw), region[3] * Math.exp(dh)];
        const moved: Four = [
          region[0] + (0.5 + dx) * region[2] - wide / 2,
          region[1] + (0.5 + dy) * region[3] - tall / 2,
          wide,
          tall,
        ];
        after += overlapOfSides(moved, truth, 0);
        before += overlapOfSides(region, truth, 0);
        found++;
      }
      const means = [after, before].map((sum) => Float32Array.of(found === 0 ? -1 : sum / found));
      return means.slice(0, context.topCount);
    },
  };
  return buildJavaScript(layer, context);
}

/**
 * Bottoms: the difficulty of each region, the regions, then their data. The tops are the rows of the hardest regions of each
 * image.
 */
function hardMining(context: LayerContext): Built {
  const param = context.layer.hard_mining_param;
  const p = withDefaults<{ num_roi_per_image: number; num_image: number }>('HardMiningParameter', param);
  const [scores, regions] = context.shapes as [Shape, Shape];
  const count = scores[0] ?? 0;
  if (context.topCount !== context.shapes.length - 1)
    context.fail(
      'top-count',
      `needs a top for each bottom after the first, ${context.shapes.length - 1}; found ${context.topCount}`,
    );
  if (
    elementCount(scores) !== count ||
    elementCount(regions) !== 5 * count ||
    context.shapes.some((shape) => shape[0] !== count || shape.length > 4)
  )
    context.fail(
      'shape',
      `takes a score for each region, R, then the regions, R×5, and blobs of as many rows and up to four axes; found ${context.shapes.map(showShape).join(', ')}`,
    );
  if (context.layer.propagate_down?.includes(true))
    context.fail(
      'propagate-down',
      'it has no diff for its bottoms: remove propagate_down, or set it to 0',
      'propagate_down',
    );
  if (p.num_image < 1 || p.num_roi_per_image < 1)
    context.fail('proposal', 'num_image and num_roi_per_image must be at least 1', 'hard_mining_param');
  const rows = Math.min(p.num_image * p.num_roi_per_image, count);
  const tops = context.shapes
    .slice(1)
    .map(([, channels = 1, height = 1, width = 1]): Shape => [...[rows, channels], ...[height, width]]);
  const layer: JavaScriptLayer = {
    shapes: () => tops,
    forward: ([ranks, ...others]) => {
      const byImage = new Map<number, number[]>();
      for (let row = 0; row < count; row++) {
        const [image] = regionAt(others[0]!.data, row);
        if (!(image >= 0 && image < p.num_image && Number.isInteger(image)))
          throw new Error(
            `region ${row} belongs to image ${image}; expected an image from 0 to ${p.num_image - 1} (num_image)`,
          );
        const list = byImage.get(image);
        if (list === undefined) byImage.set(image, [row]);
        else list.push(row);
      }
      const hardest = (list: readonly number[]) =>
        list.toSorted((a, b) => ranks!.data[b]! - ranks!.data[a]! || b - a);
      const sorted = [...byImage.values()].map(hardest);
      const kept = sorted.flatMap((list) => list.slice(0, p.num_roi_per_image));
      const left = sorted.flatMap((list) => list.slice(p.num_roi_per_image));
      const all = [...kept, ...hardest(left).slice(0, rows - kept.length)].sort((a, b) => a - b);
      return others.map(({ data }) => {
        const width = data.length / count;
        const top = new Float32Array(rows * width);
        all.forEach((row, i) => top.set(data.subarray(row * width, (row + 1) * width), i * width));
        return top;
      });
    },
  };
  return buildJavaScript(layer, context);
}
