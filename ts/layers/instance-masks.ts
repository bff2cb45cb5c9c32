/**
 * What cuts instances out of feature maps in multi-task network cascades (github.com/daijifeng001/MNC and caffe-mnc;
 * arXiv:1512.04412): ROIWarping, MaskPooling, MaskResize, and the Python layers between the stages as they run in phase
 * TEST.
 */
import { roundAway } from '../base/numbers.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { regionAt } from './overlap.ts';
import { movedWithin, regionRows } from './region-rows.ts';
import { checkSize, MOST_ALONG_A_SIDE, type Sources, weightedMeans } from './weighted-means.ts';
import { planesOf } from './window.ts';

export const instanceMaskLayers: Layers = {
  MaskPooling: { build: maskPooling, bottoms: [2, 2] },
  MaskResize: { build: maskResize },
  ROIWarping: { build: roiWarping, bottoms: [2, 2] },
};

/** The side of masks in MNC's configuration (MASK_SIZE). */
const MASK_SIDE = 21;

/** mask_pooling_layer.cu: all channels times the mask, N×1×H×W. */
function maskPooling(context: LayerContext): Built {
  const [items, channels, height, width] = planesOf({ ...context, shapes: context.shapes.slice(0, 1) });
  const mask = context.shapes[1]!;
  if (
    elementCount(mask) !== items * height * width ||
    showShape(mask.slice(-2)) !== showShape([height, width])
  )
    context.fail(
      'shape',
      `the second bottom must be a mask for each item, ${items}×1×${height}×${width}, found ${showShape(mask)}`,
    );
  const layer = new Composition(context.shapes);
  const [x, of] = layer.bottoms as [Part, Part];
  return layer.built([
    layer.product([x, layer.repeat(layer.reshape(of, [items, 1, height, width]), 1, channels)]),
  ]);
}

/** The height and width that a layer makes. */
function sizeIn(
  context: LayerContext,
  written: Message | undefined,
  fields: readonly [string, string],
  param: string,
) {
  const [height = 0, width = 0] = fields.map((field) => written?.[field] as number | undefined);
  if (height < 1 || width < 1)
    context.fail(
      'regions',
      `${fields.join(' and ')} must be given and at least 1, found ${height} and ${width}`,
      positionOf(written, fields[0]) ?? positionOf(written, fields[1]) ?? param,
    );
  return [height, width] as const;
}

/** mask_resize_layer.cu: pixel i is read at i times the ratio of the sizes, between its neighbours. */
function maskResize(context: LayerContext): Built {
  const [, , height, width] = planesOf(context);
  const written = context.layer.mask_resize_param;
  const size = sizeIn(context, written, ['output_height', 'output_width'], 'mask_resize_param');
  checkSize(context, size, 'mask_resize_param');
  const along = (from: number, to: number): Sources =>
    Array.from({ length: to }, (_, i) => between(Math.fround(i * Math.fround(from / to)), from));
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  return layer.built([
    weightedMeans(context, layer, x, size, along(height, size[0]), along(width, size[1]), true),
  ]);
}

/** The pixels on both sides of a place, with their weights; none if it is more than half a pixel outside. */
function between(place: number, size: number): { at: number; weight: number }[] {
  if (place < -0.5 || place > size - 0.5) return [];
  const at = Math.min(Math.floor(Math.max(place, 0)), size - 1);
  const next = at === size - 1 ? 0 : Math.max(place, 0) - at;
  return next === 0
    ? [{ at, weight: 1 }]
    : [
        { at, weight: 1 - next },
        { at: at + 1, weight: next },
      ];
}

/**
 * The samples along one side of a bin that lie in the map: roi_warping_layer.cu counts from its start to its end in steps
 * of 1 / ⌈its size⌉.
 */
function samplesOf(
  bin: number,
  start: number,
  length: number,
  bins: number,
  pixels: number,
): Sources[number][] {
  const step = Math.fround(1 / Math.ceil(Math.fround(length / bins)));
  const samples: Sources[number][] = [];
  const size = Math.fround(length / bins);
  for (let at = bin; at <= bin + 1; at = Math.fround(at + step)) {
    const sources = between(Math.fround(start + Math.fround(at * size)), pixels);
    if (sources.length > 0) samples.push(sources);
  }
  return samples;
}

/**
 * roi_warping_layer.cu: the largest of the values at places between pixels, of which each bin has a few; 0 if all lie
 * outside. Regions get no diff here; the fork gives them an approximate one.
 */
function roiWarping(context: LayerContext): Built {
  const written = context.layer.roi_warping_param;
  const [tall, wide] = sizeIn(context, written, ['pooled_h', 'pooled_w'], 'roi_warping_param');
  const scale = (written?.spatial_scale as number | undefined) ?? 1;
  const [images, channels, height, width] = planesOf({ ...context, shapes: context.shapes.slice(0, 1) });
  const count = regionRows(context, context.shapes[1]!);
  const top: Shape = [count, channels, tall, wide];
  checkSize(context, [tall, wide], 'roi_warping_param');
  /** For each value of the top: calls back with the pixels and weights of the place it is taken from. */
  const each = (
    maps: Float32Array,
    rois: Float32Array,
    use: (to: number, value: number, from: readonly { at: number; weight: number }[]) => void,
  ) => {
    for (let r = 0; r < count; r++) {
      const image = rois[5 * r]!;
      if (image < 0) continue;
      if (!(image < images)) throw new Error(`region ${r} is of image ${image}; there are ${images}`);
      const [x1, y1, x2, y2] = [1, 2, 3, 4].map((i) => roundAway(Math.fround(rois[5 * r + i]! * scale))) as [
        number,
        number,
        number,
        number,
      ];
      // Longer ones would need more samples than float32 can count.
      if (![x1, y1, x2, y2].every(Number.isFinite) || Math.max(x2 - x1, y2 - y1) > MOST_ALONG_A_SIDE)
        throw new Error(
          `region ${r} is ${[...rois.subarray(5 * r + 1, 5 * r + 5)].join(', ')} (x1, y1, x2, y2); its corners must be numbers, and its sides at most ${MOST_ALONG_A_SIDE} pixels of the map`,
        );
      const rows = Array.from({ length: tall }, (_, i) =>
        samplesOf(i, y1, Math.max(y2 - y1, 0), tall, height),
      );
      const columns = Array.from({ length: wide }, (_, i) =>
        samplesOf(i, x1, Math.max(x2 - x1, 0), wide, width),
      );
      for (let c = 0; c < channels; c++) {
        const plane = (Math.trunc(image) * channels + c) * height * width;
        rows.forEach((ys, y) => {
          columns.forEach((xs, x) => {
            let most = Number.NEGATIVE_INFINITY;
            let best: readonly [(typeof ys)[number], (typeof xs)[number]] | undefined;
            for (const down of ys)
              for (const across of xs) {
                let value = 0;
                for (const row of down)
                  for (const column of across)
                    value += row.weight * column.weight * maps[plane + row.at * width + column.at]!;
                if (value > most) {
                  most = value;
                  best = [down, across];
                }
              }
            if (best === undefined) return;
            const from = best[0].flatMap((row) =>
              best[1].map((column) => ({
                at: plane + row.at * width + column.at,
                weight: row.weight * column.weight,
              })),
            );
            use(((r * channels + c) * tall + y) * wide + x, most, from);
          });
        });
      }
    }
  };
  const operation = hostFunction(context, context.shapes, [top], {
    forward: ([maps, rois]) => {
      const made = new Float32Array(elementCount(top));
      each(maps!.data, rois!.data, (to, value) => {
        made[to] = value;
      });
      return [made];
    },
    backward: ({ bottoms: [maps, rois], topDiffs: [diff] }) => {
      const made = new Float64Array(maps!.data.length);
      each(maps!.data, rois!.data, (to, _, from) => {
        for (const { at, weight } of from) made[at]! += weight * diff!.data[to]!;
      });
      return [Float32Array.from(made), null];
    },
  });
  const layer = new Composition(context.shapes);
  return layer.built([layer.one(operation, layer.bottoms, top, [true, false])]);
}

/** lib/pylayer/mask_layer.py: the masks that a layer predicts, as maps. */
export function maskLayer(context: LayerContext): Built {
  refuseTraining(context, 'MaskLayer');
  const shape = context.shapes[0]!;
  const items = shape[0] ?? 0;
  if (elementCount(shape) !== items * MASK_SIDE ** 2)
    context.fail(
      'shape',
      `takes masks of ${MASK_SIDE}×${MASK_SIDE} pixels, ${items}×${MASK_SIDE ** 2}, found ${showShape(shape)}`,
    );
  const layer = new Composition(context.shapes);
  return layer.built([layer.reshape(layer.bottoms[0]!, [items, 1, MASK_SIDE, MASK_SIDE])]);
}

/** numpy's argmax: the first of the largest values; one that is not a number counts as the largest. */
function likeliest(scores: Float32Array): number {
  const unknown = scores.findIndex(Number.isNaN);
  return unknown < 0 ? scores.indexOf(Math.max(...scores)) : unknown;
}

/** lib/pylayer/stage_bridge_layer.py: regions as their likeliest class moves them, inside the image. */
export function stageBridge(context: LayerContext): Built {
  refuseTraining(context, 'StageBridgeLayer');
  const [regions, deltas, scores, image] = context.shapes as [Shape, Shape, Shape, Shape];
  const count = regions[0] ?? 0;
  const classes = elementCount(scores) / count;
  if (
    !Number.isInteger(classes) ||
    elementCount(regions) !== 5 * count ||
    elementCount(deltas) !== 4 * classes * count
  )
    context.fail(
      'shape',
      `takes regions R×5, deltas R×4C and scores R×C, found ${context.shapes.slice(0, 3).map(showShape).join(', ')}`,
    );
  if (elementCount(image) < 2)
    context.fail(
      'shape',
      `the fourth bottom must be the image's height and width, found ${showShape(image)}`,
    );
  const operation = hostFunction(context, context.shapes, [regions], {
    forward: ([rois, moves, said, size]) => {
      const made = rois!.data.slice();
      const [tall, wide] = size!.data as unknown as [number, number];
      for (let r = 0; r < count; r++) {
        // A row without a region stays so.
        if (made[5 * r]! < 0) continue;
        const own = said!.data.subarray(r * classes, (r + 1) * classes);
        const first = (r * classes + likeliest(own)) * 4;
        const [, ...box] = regionAt(made, r);
        made.set([0, ...movedWithin(box, (side) => moves!.data[first + side]!, [tall, wide])], 5 * r);
      }
      return [made];
    },
  });
  const layer = new Composition(context.shapes);
  return {
    ...layer.built([layer.one(operation, layer.bottoms, regions, [false, false, false, false])]),
    rows: 0,
  };
}

function refuseTraining(context: LayerContext, type: string): void {
  if (context.state.phase === 'TRAIN')
    context.fail(
      'unsupported',
      `MNC's ${type} is supported in phase TEST only; its training needs a function in JavaScript (registerLayers, or --layers FILE)`,
      'python_param',
    );
  if (context.topCount > 1)
    context.fail('top-count', `${type} has one top in phase TEST, found ${context.topCount}`);
}
