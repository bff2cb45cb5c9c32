/**
 * Regions as MS-CNN (github.com/zhaoweicai/mscnn; arXiv:1607.07155) and Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn;
 * arXiv:1712.00726) propose them and move them from stage to stage. The host computes them, as in the forks.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { movedRegion, type Normalisation, normalisationOf } from './box-regression.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptBlob, JavaScriptLayer } from './javascript.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import { type Corners, regionAt } from './overlap.ts';
import { type NmsType, nmsTypeOf, type Region, suppressed } from './suppression.ts';

export const regionProposalLayers: Layers = {
  BoxOutput: { build: boxOutput, bottoms: ANY, tops: [1, 2] },
  BoxGroupOutput: { build: boxGroupOutput, bottoms: [2, Number.POSITIVE_INFINITY], tops: [1, 2] },
  DecodeBBox: { build: decodeBBox, bottoms: [2, 3] },
};

interface Proposing {
  readonly fg_thr: number;
  readonly iou_thr: number;
  readonly nms_type: string;
  readonly field_whr: number;
  readonly field_xyr: number;
  readonly max_nms_num: number;
  readonly max_post_nms_num: number;
  readonly min_size: number;
}

/** The box of a position of a map: its field, and its regressions. */
interface Field {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
}

/**
 * Limits the centre and the sides to their bounds.
 * @returns x1, y1 and the sides
 */
function moved(
  regression: (k: number) => number,
  { means, stds }: Normalisation,
  p: Proposing,
  field: Field,
  [row, column]: readonly [number, number],
): [x: number, y: number, width: number, height: number] {
  const within = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);
  const [x, y] = [0, 1].map((k) =>
    within(regression(k) * stds[k]! + means[k]!, -1 / p.field_xyr, 1 / p.field_xyr),
  ) as [number, number];
  const [width, height] = [2, 3].map((k, i) => {
    const growth = within(
      regression(k) * stds[k]! + means[k]!,
      -Math.log(p.field_whr),
      Math.log(p.field_whr),
    );
    return (i === 0 ? field.width : field.height) * Math.exp(growth);
  }) as [number, number];
  return [
    x * field.width + (column + 0.5) * field.stride - width / 2,
    y * field.height + (row + 0.5) * field.stride - height / 2,
    width,
    height,
  ];
}

/** The best boxes of an image in order, without those that a better one overlaps. */
function chosen(sorted: readonly Region[], p: Proposing, more: 0 | 1, type: NmsType): Region[] {
  const some = p.max_nms_num > 0 ? sorted.slice(0, p.max_nms_num) : sorted;
  const kept = suppressed(some, p.iou_thr, more, type);
  return p.max_post_nms_num > 0 ? kept.slice(0, p.max_post_nms_num) : kept;
}

/**
 * A layer that computes the regions of each image.
 * @param all The number of boxes of an image before selection.
 */
function proposing(
  context: LayerContext,
  p: Proposing,
  images: number,
  all: number,
  regionsOf: (bottoms: readonly JavaScriptBlob[], image: number) => Region[],
): Built {
  const limits = [p.max_nms_num, p.max_post_nms_num].filter((limit) => limit > 0);
  const most = images * Math.min(all, ...limits);
  const layer: JavaScriptLayer = {
    shapes: () =>
      [
        [most, 5, 1, 1],
        [most, 6, 1, 1],
      ].slice(0, context.topCount),
    forward: (bottoms) => {
      const found = Array.from({ length: images }, (_, image) =>
        regionsOf(bottoms, image).map((region) => ({ image, ...region })),
      ).flat();
      const [rows, scored] = [5, 6].map((width) => new Float32Array(most * width).fill(-1)) as [
        Float32Array,
        Float32Array,
      ];
      found.forEach(({ image, box, score }, row) => {
        rows.set([image, ...box], 5 * row);
        scored.set([image, ...box, score], 6 * row);
      });
      // The forks' region for an image without any.
      if (found.length === 0) {
        rows.set([0, 1, 1, 10, 10]);
        scored.fill(0, 0, 6);
      }
      return [rows, scored].slice(0, context.topCount);
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0 };
}

/** box_output_layer.cpp: each map has scores of classes and four regressions. The background's score is subtracted. */
function boxOutput(context: LayerContext): Built {
  const param = context.layer.box_output_param;
  const p = withDefaults<Proposing & { field_h?: number[]; field_w?: number[]; downsample_rate?: number[] }>(
    'BoxOutputParameter',
    param,
  );
  const type = nmsTypeOf(context, p.nms_type, param);
  const maps = context.shapes.length;
  const { field_h: heights = [], field_w: widths = [], downsample_rate: strides = [] } = p;
  if ([heights, widths, strides].some(({ length }) => length !== maps))
    context.fail(
      'proposal',
      `${maps} bottoms take as many field_h, field_w and downsample_rate, found ${heights.length}, ${widths.length} and ${strides.length}`,
      'box_output_param',
    );
  const [images = 1, channels = 0] = context.shapes[0]!;
  for (const shape of context.shapes)
    if (shape.length !== 4 || shape[0] !== images || shape[1] !== channels || channels < 6)
      context.fail(
        'shape',
        `the bottoms must be maps of the same number of images, with scores of at least two classes followed by four regressions, N×C×H×W; found ${context.shapes.map(showShape).join(', ')}`,
      );
  const classes = channels - 4;
  const normalisation = normalisationOf(context);
  const all = context.shapes.reduce((sum, [, , h, w]) => sum + h! * w!, 0);
  return proposing(context, p, images, all, (bottoms, image) => {
    const regions = bottoms.flatMap(({ data, shape }, map) => {
      const [, , height, width] = shape as [number, number, number, number];
      const area = height * width;
      const field = { width: widths[map]!, height: heights[map]!, stride: strides[map]! };
      const own = data.subarray(image * channels * area, (image + 1) * channels * area);
      const found: Region[] = [];
      for (let at = 0; at < area; at++) {
        let best = own[area + at]!;
        for (let k = 2; k < classes; k++) best = Math.max(best, own[k * area + at]!);
        const score = Math.fround(best - own[at]!);
        if (!(score >= Math.fround(p.fg_thr))) continue;
        const place = [Math.floor(at / width), at % width] as const;
        const [x, y, wide, tall] = moved(
          (k) => own[(classes + k) * area + at]!,
          normalisation,
          p,
          field,
          place,
        );
        const [x1, y1] = [Math.max(x, 0), Math.max(y, 0)];
        const [w, h] = [
          Math.min(wide, width * field.stride - x1),
          Math.min(tall, height * field.stride - y1),
        ];
        if (w >= p.min_size && h >= p.min_size) found.push({ score, box: [x1, y1, x1 + w, y1 + h] });
      }
      return found;
    });
    // Pairs of score and position are sorted, so of equal scores the later position comes first.
    return chosen(
      regions.reverse().sort((a, b) => b.score - a.score),
      p,
      0,
      type,
    );
  });
}

/** box_group_output_layer.cpp: each map has probabilities and regressions. Its items are the kinds of boxes of an image. */
function boxGroupOutput(context: LayerContext): Built {
  const param = context.layer.box_group_output_param;
  const p = withDefaults<
    Proposing & { box_group_param?: { field_h?: number[]; field_w?: number[]; stride?: number }[] }
  >('BoxGroupOutputParameter', param);
  const type = nmsTypeOf(context, p.nms_type, param);
  const groups = (p.box_group_param ?? []).map(({ field_h: h = [], field_w: w = [], stride = 0 }) => ({
    fields: w.map((width, i): Field => ({ width, height: h[i] ?? 0, stride })),
    isWhole: h.length === w.length && w.length > 0 && stride > 0,
  }));
  if (context.shapes.length !== 2 * groups.length || groups.some(({ isWhole }) => !isWhole))
    context.fail(
      'proposal',
      `probabilities and regressions of ${context.shapes.length / 2} maps take as many box_group_param, each with a stride and as many field_h as field_w; found ${groups.length}`,
      'box_group_output_param',
    );
  const images = (context.shapes[0]![0] ?? 0) / groups[0]!.fields.length;
  groups.forEach(({ fields }, map) => {
    const [scores, boxes] = context.shapes.slice(2 * map, 2 * map + 2) as [Shape, Shape];
    const expected = [images * fields.length, 4, ...scores.slice(2)];
    if (
      !Number.isInteger(images) ||
      scores.length !== 4 ||
      scores[0] !== expected[0] ||
      showShape(boxes) !== showShape(expected)
    )
      context.fail(
        'shape',
        `${fields.length} kinds of boxes take probabilities of ${images * fields.length}×C×H×W and regressions of ${showShape(expected)}, found ${showShape(scores)} and ${showShape(boxes)}`,
      );
  });
  const normalisation = normalisationOf(context);
  const all = groups.reduce(
    (sum, { fields }, map) => sum + fields.length * elementCount(context.shapes[2 * map]!.slice(2)),
    0,
  );
  return proposing(context, p, images, all, (bottoms, image) => {
    const regions = groups.flatMap(({ fields }, map) => {
      const [scores, boxes] = [bottoms[2 * map]!, bottoms[2 * map + 1]!];
      const [, classes, height, width] = scores.shape as [number, number, number, number];
      const area = height * width;
      return fields.flatMap((field, kind) => {
        const item = image * fields.length + kind;
        const found: Region[] = [];
        for (let at = 0; at < area; at++) {
          const score = Math.fround(1 - scores.data[item * classes * area + at]!);
          if (!(score >= Math.fround(p.fg_thr))) continue;
          const place = [Math.floor(at / width), at % width] as const;
          const [x, y, wide, tall] = moved(
            (k) => boxes.data[(item * 4 + k) * area + at]!,
            normalisation,
            p,
            field,
            place,
          );
          const box: Corners = [
            Math.max(x, 0),
            Math.max(y, 0),
            Math.min(x + wide - 1, width * field.stride),
            Math.min(y + tall - 1, height * field.stride),
          ];
          if (box[2] - box[0] + 1 >= p.min_size && box[3] - box[1] + 1 >= p.min_size)
            found.push({ score, box });
        }
        return found;
      });
    });
    return chosen(
      regions.sort((a, b) => b.score - a.score),
      p,
      1,
      type,
    );
  });
}

/**
 * decode_bbox_layer.cpp: regions moved by the regressions of the object's class, for the next stage. In phase TRAIN,
 * without regions whose corners are in the wrong order and, if ProposalTarget's matches are given, without objects' own
 * boxes; their rows are −1, at the end.
 */
function decodeBBox(context: LayerContext): Built {
  const [deltas, regions, matches] = context.shapes as [Shape, Shape, Shape?];
  const count = regions[0] ?? 0;
  const isTraining = context.state.phase === 'TRAIN';
  if (
    elementCount(regions) !== 5 * count ||
    elementCount(deltas) !== 8 * count ||
    (matches !== undefined && elementCount(matches) !== 6 * count)
  )
    context.fail(
      'shape',
      `takes regressions R×8 (of background and object), regions R×5 and, if they are matched, R×6; found ${context.shapes.map(showShape).join(', ')}`,
    );
  if (matches !== undefined && !isTraining)
    context.fail('bottom-count', 'takes two bottoms in phase TEST: matched objects are only for training');
  const { gt_iou_thr: own } = withDefaults<{ gt_iou_thr: number }>(
    'DecodeBBoxParameter',
    context.layer.decode_bbox_param,
  );
  const normalisation = normalisationOf(context);
  const layer: JavaScriptLayer = {
    shapes: () => [regions],
    forward: ([regressions, from, matched]) => {
      const result = new Float32Array(5 * count).fill(-1);
      let made = 0;
      for (let row = 0; row < count; row++) {
        const [image, ...box] = regionAt(from!.data, row);
        if (image < 0) {
          // A row without a region stays one.
          if (!isTraining) made++;
          continue;
        }
        const moved = movedRegion(box, (k) => regressions!.data[8 * row + 4 + k]!, normalisation);
        const isInsideOut = moved[0] > moved[2] || moved[1] > moved[3];
        const isOwn = matched !== undefined && matched.data[6 * row + 5]! >= Math.fround(own);
        if (isTraining && (isInsideOut || isOwn)) continue;
        result.set([image, ...moved], 5 * made++);
      }
      if (made === 0) throw new Error("no region remains: all are inverted, or are the objects' own boxes");
      return [result];
    },
  };
  const built = buildJavaScript(layer, context);
  return isTraining ? { ...built, rows: 0 } : built;
}
