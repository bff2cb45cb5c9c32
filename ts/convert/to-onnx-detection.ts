/** Like to-onnx-operators.ts, for detection: regions of interest, and boxes that NonMaxSuppression selects. */
import { elementCount } from '../base/shape.ts';
import type { LayerWriter } from './layer-writer.ts';
import { arithmeticOf } from './onnx-arithmetic.ts';
import { DOUBLE, float, INT64, int, ints, type Of, text } from './onnx-attributes.ts';

export const detectionOperators = { detectionOutput, proposal, roiPooling, psRoiPooling, roiAlign };

/** A threshold below every score. */
const LEAST_FLOAT = -3.4028234663852886e38;

/** NonMaxSuppression accepts overlap thresholds from 0 to 1. */
function checkThreshold(layer: LayerWriter, threshold: number) {
  if (!(threshold >= 0 && threshold <= 1))
    layer.fail(
      `its nms_threshold is ${threshold}, but ONNX's NonMaxSuppression accepts 0 to 1; 1 suppresses nothing`,
    );
}

/**
 * The indices [n, 3] of the boxes that no better box overlaps by more than the threshold: set, 0, position in the set.
 * @param boxes [sets, count, 4]
 * @param scores [sets, 1, count]
 */
function suppress(
  layer: LayerWriter,
  boxes: string,
  scores: string,
  limits: { readonly most: number; readonly overlap: number; readonly score: number },
): string {
  return layer.emit('NonMaxSuppression', [
    boxes,
    scores,
    layer.integers('most', [limits.most]),
    layer.scalar('overlap', limits.overlap),
    layer.scalar('least', Math.max(limits.score, LEAST_FLOAT)),
  ]);
}

function detectionOutput(layer: LayerWriter) {
  const p = layer.node.operation as Of<'detectionOutput'>;
  checkThreshold(layer, p.nmsThreshold);
  if (p.eta < 1)
    layer.fail("its eta lowers the threshold from box to box; that of ONNX's NonMaxSuppression is constant");
  const f = arithmeticOf(layer);
  const [images = 1] = layer.bottoms[0]!;
  const priors = elementCount(layer.bottoms[2]!) / 8;
  const boxes = decodedBoxes(layer, p, images, priors);
  const scores = f.transpose(f.reshape(layer.inputs[1]!, [images, priors, p.classes]), [0, 2, 1]);
  const rows = Array.from({ length: images }, (_, image) => {
    const of = (x: string, shape: readonly number[]) =>
      f.reshape(images === 1 ? x : f.part(x, 0, image, image + 1), shape);
    const sets = p.shareLocation ? [priors, 4] : [p.classes, priors, 4];
    return detectionsOf(layer, p, image, of(boxes, sets), of(scores, [p.classes, priors]), priors);
  });
  const found = rows.length === 1 ? rows[0]! : f.concat(rows, 0);
  // Without any detection, the output has one row of −1 for each image.
  const none = layer.computed('none', [images, 7], () =>
    Float32Array.from({ length: images * 7 }, (_, i) => (i % 7 === 0 ? i / 7 : -1)),
  );
  const count = f.part(f.shape(found), 0, 0, 1);
  const isNone = f.cast(layer.emit('Equal', [count, layer.integers('zero', [0])]), 'int64');
  const length = f.add(count, f.multiply(isNone, layer.integers('images', [images])));
  const shown = layer.emit('Slice', [
    f.concat([found, none], 0),
    layer.integers('from', [0]),
    length,
    layer.integers('axis', [0]),
  ]);
  layer.emit('Reshape', [shown, layer.integers('shape', [1, 1, -1, 7])], {}, layer.outputs);
}

/** bbox_util.cpp (DecodeBBox): [images, sets, priors, 4]. */
function decodedBoxes(layer: LayerWriter, p: Of<'detectionOutput'>, images: number, priors: number): string {
  const f = arithmeticOf(layer);
  const sets = p.shareLocation ? 1 : p.classes;
  const locations = f.transpose(f.reshape(layer.inputs[0]!, [images, priors, sets, 4]), [0, 2, 1, 3]);
  const both = f.reshape(layer.inputs[2]!, [2, 1, priors, 4]);
  const [from, variance] = [f.part(both, 0, 0, 1), f.part(both, 0, 1, 2)];
  const offset = p.varianceInTarget ? locations : f.multiply(locations, variance);
  const first = (x: string) => f.part(x, 3, 0, 2);
  const second = (x: string) => f.part(x, 3, 2, 4);
  const size = f.subtract(second(from), first(from));
  const decode = () => {
    if (p.code === 'corner') return f.add(from, offset);
    if (p.code === 'cornerSize') return f.add(from, f.multiply(offset, f.concat([size, size], 3)));
    const centre = f.multiply(f.add(first(from), second(from)), 0.5);
    const at = f.add(f.multiply(first(offset), size), centre);
    const half = f.multiply(f.multiply(f.exp(second(offset)), size), 0.5);
    return f.concat([f.subtract(at, half), f.add(at, half)], 3);
  };
  const boxes = decode();
  return p.clip ? f.most(f.least(boxes, 1), 0) : boxes;
}

/**
 * The rows of one image, ordered by class and then by score.
 * @param boxes [priors, 4], or [classes, priors, 4]
 * @param scores [classes, priors]
 */
function detectionsOf(
  layer: LayerWriter,
  p: Of<'detectionOutput'>,
  image: number,
  boxes: string,
  scores: string,
  priors: number,
): string {
  const f = arithmeticOf(layer);
  const labels = Array.from({ length: p.classes }, (_, label) => label).filter(
    (label) => label !== p.background,
  );
  const compared = Math.min(p.topK ?? priors, priors);
  const chosen = layer.integers('classes', labels);
  const [best, places] = f.largest(f.gather(scores, chosen), layer.integers('compared', [compared]), 1);
  const candidates = p.shareLocation
    ? f.gather(boxes, places)
    : layer.emit(
        'GatherND',
        [f.gather(boxes, chosen), layer.emit('Unsqueeze', [places, layer.integers('last', [2])])],
        { batch_dims: int(1) },
      );
  // For Caffe a box with swapped sides has no area. ONNX would swap them back.
  const first = f.part(candidates, 2, 0, 2);
  const upright =
    p.code === 'centerSize' ? candidates : f.concat([first, f.most(f.part(candidates, 2, 2, 4), first)], 2);
  const kept = suppress(layer, upright, f.reshape(best, [labels.length, 1, compared]), {
    most: compared,
    overlap: p.nmsThreshold,
    score: p.scoreThreshold,
  });
  const set = f.part(kept, 1, 0, 1);
  const row = f.add(f.multiply(set, layer.integers('compared', [compared])), f.part(kept, 1, 2, 3));
  const score = f.gather(f.reshape(best, [-1]), row);
  const label = f.gather(
    layer.computed('labels', [labels.length], () => Float32Array.from(labels)),
    set,
  );
  const box = f.gather(f.reshape(candidates, [-1, 4]), f.reshape(row, [-1]));
  const rows = f.concat([f.add(f.multiply(label, 0), image), label, score, box], 1);
  if (p.keepTopK === null || p.keepTopK >= labels.length * compared) return rows;
  const flat = f.reshape(score, [-1]);
  const count = layer.emit('Min', [f.shape(flat), layer.integers('keep', [p.keepTopK])]);
  const [, order] = f.largest(flat, count, 0);
  const inOrder = [layer.value('inOrder'), layer.value('unused')] as const;
  layer.emit('TopK', [order, count], { axis: int(0), largest: int(0) }, inOrder);
  return f.gather(rows, inOrder[0]);
}

/**
 * lib/rpn/proposal_layer.py. Its overlaps include the last pixel of a box, so boxes are extended by one for the comparison.
 */
function proposal(layer: LayerWriter) {
  const p = layer.node.operation as Of<'proposal'>;
  checkThreshold(layer, p.nmsThreshold);
  const f = arithmeticOf(layer);
  const [scores, deltas, image] = layer.inputs as [string, string, string];
  const [, , height = 1, width = 1] = layer.bottoms[1]!;
  const anchors = p.anchors.length / 4;
  const all = height * width * anchors;
  const [most = 1] = layer.tops[0]!;
  const ofAnchors = (role: string, value: (a: number, axis: 0 | 1) => number, step: number) =>
    layer.computed(role, [all, 2], () =>
      Float32Array.from({ length: all * 2 }, (_, i) => {
        const axis = (i % 2) as 0 | 1;
        const cell = Math.floor(i / (2 * anchors));
        const place = axis === 0 ? cell % width : Math.floor(cell / width);
        return value(Math.floor(i / 2) % anchors, axis) + place * step;
      }),
    );
  const length = (a: number, axis: 0 | 1) => p.anchors[4 * a + 2 + axis]! - p.anchors[4 * a + axis]! + 1;
  const sizes = ofAnchors('sizes', length, 0);
  const centres = ofAnchors('centres', (a, axis) => p.anchors[4 * a + axis]! + length(a, axis) / 2, p.stride);
  const moves = f.reshape(f.transpose(f.reshape(deltas, [anchors, 4, height * width]), [2, 0, 1]), [all, 4]);
  const at = f.add(f.multiply(f.part(moves, 1, 0, 2), sizes), centres);
  const half = f.multiply(f.multiply(f.exp(f.part(moves, 1, 2, 4)), sizes), 0.5);
  const info = f.reshape(image, [-1]);
  const last = f.subtract(f.gather(info, layer.integers('sides', [1, 0])), 1);
  const within = (x: string) => f.most(f.least(x, last), 0);
  const [low, high] = [within(f.subtract(at, half)), within(f.add(at, half))];
  const shortest = layer.emit('ReduceMin', [f.add(f.subtract(high, low), 1)], {
    axes: ints([1]),
    keepdims: int(0),
  });
  const fits = f.isAtLeast(shortest, f.multiply(f.part(info, 0, 2, 3), p.minSize));
  const objects = f.part(scores, 1, anchors, 2 * anchors);
  const ofObjects = f.reshape(f.transpose(f.reshape(objects, [anchors, height * width]), [1, 0]), [all]);
  const counted = layer.emit('Where', [fits, ofObjects, layer.scalar('none', Number.NEGATIVE_INFINITY)]);
  const compared = Math.min(p.beforeNms, all);
  const [best, places] = f.largest(counted, layer.integers('compared', [compared]), 0);
  const boxes = f.gather(f.concat([low, high], 1), places);
  const longer = f.add(
    boxes,
    layer.computed('last-pixel', [4], () => Float32Array.of(0, 0, 1, 1)),
  );
  const kept = suppress(layer, f.reshape(longer, [1, compared, 4]), f.reshape(best, [1, 1, compared]), {
    most,
    overlap: p.nmsThreshold,
    score: LEAST_FLOAT,
  });
  const row = f.part(kept, 1, 2, 3);
  const score = f.gather(best, row);
  const zero = f.multiply(f.cast(row, 'float'), 0);
  const [regions, ofRegions] = layer.outputs as [string, string?];
  layer.emit('Concat', [zero, f.gather(boxes, f.reshape(row, [-1]))], { axis: int(1) }, [regions]);
  if (ofRegions !== undefined) layer.emit('Identity', [score], {}, [ofRegions]);
}

function roiPooling(layer: LayerWriter) {
  const { spatialScale } = layer.node.operation as Of<'roiPooling'>;
  const attributes = { pooled_shape: ints(layer.tops[0]!.slice(2)), spatial_scale: float(spatialScale) };
  layer.emit('MaxRoiPool', layer.inputs, attributes, layer.outputs);
}

/** The image's index, the first corner and the last corner of each region: [R, 1], [R, 2], [R, 2]. */
function regionsOf(layer: LayerWriter): [image: string, first: string, last: string] {
  const { part, reshape } = arithmeticOf(layer);
  const regions = reshape(layer.inputs[1]!, [-1, 5]);
  return [part(regions, 1, 0, 1), part(regions, 1, 1, 3), part(regions, 1, 3, 5)];
}

/** The mean of a bin is a difference of four cumulative sums, in float64, divided by its area. */
function psRoiPooling(layer: LayerWriter) {
  const { spatialScale, group } = layer.node.operation as Of<'psRoiPooling'>;
  const f = arithmeticOf(layer);
  const [, channels = 1, height = 1, width = 1] = layer.bottoms[0]!;
  const outputs = layer.tops[0]![1]!;
  const [image, first, last] = regionsOf(layer);
  // C rounds halves away from zero, ONNX rounds them to even.
  const round = (x: string) => f.multiply(f.sign(x), f.floor(f.add(f.magnitude(x), 0.5)));
  const start = f.multiply(round(first), spatialScale);
  const end = f.multiply(f.add(round(last), 1), spatialScale);
  const each = f.divide(f.most(f.subtract(end, start), 0.1), group);
  const bins = (axis: 0 | 1, size: number) => {
    const of = (x: string) => f.part(x, 1, axis, axis + 1);
    const edge = (index: number, snap: (x: string) => string) => {
      const steps = layer.computed('bins', [1, group], () =>
        Float32Array.from({ length: group }, (_, i) => i + index),
      );
      const at = snap(f.add(f.multiply(steps, of(each)), of(start)));
      const cut = f.cast(f.most(f.least(at, size), 0), 'int64');
      return f.reshape(cut, axis === 0 ? [-1, 1, 1, group] : [-1, 1, group, 1]);
    };
    return [edge(0, f.floor), edge(1, f.ceil)] as const;
  };
  const [columns, rows] = [bins(0, width), bins(1, height)];
  const whole = f.cast(layer.inputs[0]!, 'double');
  const padded = layer.emit('Pad', [whole, layer.integers('pads', [0, 0, 1, 1, 0, 0, 0, 0])]);
  const along = (x: string, axis: number) => layer.emit('CumSum', [x, layer.integers('axis', [axis])]);
  const sums = f.reshape(along(along(padded, 2), 3), [-1]);
  const integer = (value: number) => layer.integers('count', [value]);
  const own = layer.emit(
    'Cast',
    [
      layer.computed('channels', [1, outputs, group, group], () =>
        Float32Array.from({ length: outputs * group * group }, (_, i) => i),
      ),
    ],
    { to: int(INT64) },
  );
  const items = f.multiply(f.reshape(f.cast(image, 'int64'), [-1, 1, 1, 1]), integer(channels));
  const planes = f.multiply(f.add(items, own), integer(height + 1));
  const at = (row: string, column: string) =>
    f.gather(sums, f.add(f.multiply(f.add(planes, row), integer(width + 1)), column));
  const [[left, right], [top, bottom]] = [columns, rows];
  const sum = f.subtract(f.add(at(bottom, right), at(top, left)), f.add(at(top, right), at(bottom, left)));
  const side = (from: string, to: string) => layer.emit('Max', [f.subtract(to, from), integer(0)]);
  const area = f.multiply(side(left, right), side(top, bottom));
  const divisor = layer.emit('Cast', [layer.emit('Max', [area, integer(1)])], { to: int(DOUBLE) });
  const mean = f.cast(f.divide(sum, divisor), 'float');
  const isThere = f.isAbove(area, integer(0));
  layer.emit('Where', [isThere, mean, layer.scalar('none', 0)], {}, layer.outputs);
}

/**
 * Samples at the corners of bins. RoiAlign samples their centres, so its region begins half a bin earlier. Corners outside
 * the plane are 0, and so are the corners of a region without an area. ONNX has other limits.
 */
function roiAlign(layer: LayerWriter) {
  const { spatialScale, form, samplingRatio, aligned } = layer.node.operation as Of<'roiAlign'>;
  if (form === 'maximum')
    layer.fail(
      'ONNX has no pooling of regions that computes the largest of four sums over the first pixels of a bin',
    );
  const f = arithmeticOf(layer);
  const [, , height = 1, width = 1] = layer.bottoms[0]!;
  const [, , tall = 1, wide = 1] = layer.tops[0]!;
  const [image, first, last] = regionsOf(layer);
  if (form === 'mean') {
    const regions = [layer.inputs[0]!, f.concat([first, last], 1), f.reshape(f.cast(image, 'int64'), [-1])];
    const attributes = {
      mode: text('avg'),
      output_height: int(tall),
      output_width: int(wide),
      sampling_ratio: int(samplingRatio),
      spatial_scale: float(spatialScale),
      coordinate_transformation_mode: text(aligned ? 'half_pixel' : 'output_half_pixel'),
    };
    layer.emit('RoiAlign', regions, attributes, layer.outputs);
    return;
  }
  const pair = (role: string, x: number, y: number) =>
    layer.computed(role, [1, 2], () => Float32Array.of(x, y));
  // In pixels with centres at halves, as half_pixel expects.
  const start = f.multiply(first, spatialScale);
  const size = f.subtract(f.multiply(last, spatialScale), start);
  const step = f.divide(size, pair('steps', wide - 1, tall - 1));
  const from = f.subtract(start, f.multiply(step, 0.5));
  const to = f.add(from, f.multiply(step, pair('corners', wide, tall)));
  const sampled = layer.emit(
    'RoiAlign',
    [layer.inputs[0]!, f.concat([from, to], 1), f.reshape(f.cast(image, 'int64'), [-1])],
    {
      mode: text('avg'),
      output_height: int(tall),
      output_width: int(wide),
      sampling_ratio: int(1),
      spatial_scale: float(1),
      coordinate_transformation_mode: text('half_pixel'),
    },
  );
  const inside = (axis: 0 | 1, corners: number, length: number) => {
    const of = (x: string) => f.part(x, 1, axis, axis + 1);
    const index = layer.computed('index', [1, corners], () =>
      Float32Array.from({ length: corners }, (_, i) => i),
    );
    const at = f.add(f.multiply(of(step), index), of(start));
    const parts = [f.isAtLeast(at, 0), f.isAtLeast(f.subtract(length, at), 0), f.isAbove(of(size), 0)];
    const both = parts.reduce((a, b) => layer.emit('And', [a, b]));
    return f.reshape(both, axis === 0 ? [-1, 1, 1, corners] : [-1, 1, corners, 1]);
  };
  const isInside = layer.emit('And', [inside(0, wide, width), inside(1, tall, height)]);
  layer.emit('Where', [isInside, sampled, layer.scalar('outside', 0)], {}, layer.outputs);
}
