/**
 * The targets for training Faster R-CNN (arXiv:1506.01497, sections 3.1.2 and 3.2;
 * github.com/rbgirshick/py-faster-rcnn, lib/rpn: anchor_target_layer.py, proposal_target_layer.py with the
 * configuration of its end-to-end training). They are Python layers there, and functions on the host here. Boxes are
 * x1, y1, x2, y2, both ends included. Rows of ground truth are these and a class; rows of class 0 are ignored.
 *
 * The net does not contain the configuration, but param_str may override it by name. If fewer regions are found than a
 * batch has rows, Caffe makes the batch smaller. Here the regions are repeated in turn, so the mean of a loss is still
 * over the regions that were found.
 */
import { drawn, seededRandom } from '../base/random.ts';
import type { Shape } from '../base/shape.ts';
import { type JavaScriptLayer, pythonNames } from './javascript.ts';
import { buildJavaScript } from './javascript-rule.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { overlapOf } from './overlap.ts';
import { anchorsIn, anchorsOf, frcnnSettings, STRIDE } from './proposal.ts';
import { type PythonParam, readPythonParam } from './python-param.ts';

type Box = readonly [x1: number, y1: number, x2: number, y2: number];

interface Truth {
  readonly box: Box;
  readonly label: number;
}

export function buildTargets(context: LayerContext): Built {
  const isOfAnchors = pythonNames(context.layer).layer === 'AnchorTargetLayer';
  return buildJavaScript(isOfAnchors ? anchorTargets(context) : proposalTargets(context), context);
}

/** The same as layers of makefile/frcnn (frcnn_anchor_target_layer.cpp, frcnn_proposal_target_layer.cpp). */
export const frcnnTargets: Layers = {
  FrcnnAnchorTarget: {
    build: (context) => buildJavaScript(anchorTargets(context, STRIDE), context),
    bottoms: [3, 4],
    tops: [4, 4],
  },
  FrcnnProposalTarget: {
    build: (context) => buildJavaScript(proposalTargets(context, CLASSES), context),
    bottoms: [2, 2],
    tops: [5, 5],
  },
};

/** The classes of PASCAL VOC and the background. */
const CLASSES = 21;

const paramOf = (context: LayerContext) =>
  context.layer.type === 'Python'
    ? readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at))
    : frcnnSettings(context);

/** The seed in lib/fast_rcnn/config.py (RNG_SEED). */
const SEED = 3;

const sizeOf = ([x1, y1, x2, y2]: Box) => [x2 - x1 + 1, y2 - y1 + 1] as const;

/** Corners are pixels. */
const overlap = (a: Box, b: Box): number => overlapOf(a, b, 1);

/** lib/fast_rcnn/bbox_transform.py: the regression from a box to another one. */
function deltas(from: Box, to: Box): readonly number[] {
  const [width, height] = sizeOf(from);
  const [wide, tall] = sizeOf(to);
  return [
    (to[0] + wide / 2 - (from[0] + width / 2)) / width,
    (to[1] + tall / 2 - (from[1] + height / 2)) / height,
    Math.log(wide / width),
    Math.log(tall / height),
  ];
}

function truthsIn(data: Float32Array): Truth[] {
  const rows = Array.from({ length: Math.floor(data.length / 5) }, (_, i) => data.subarray(5 * i, 5 * i + 5));
  return rows
    .filter((row) => row[4]! > 0)
    .map((row) => ({ box: [row[0]!, row[1]!, row[2]!, row[3]!], label: row[4]! }));
}

/** The true box that overlaps a box most. */
function best(box: Box, truths: readonly Truth[]): { index: number; overlap: number } {
  let found = { index: -1, overlap: -1 };
  truths.forEach((truth, index) => {
    const each = overlap(box, truth.box);
    if (each > found.overlap) found = { index, overlap: each };
  });
  return found;
}

/** @param usual The value if it is not written; undefined: it must be. */
const numberIn = (param: PythonParam, name: string, usual: number | undefined): number =>
  usual === undefined ? param.positive(name) : (param.number(name) ?? usual);

/** bottoms: scores (for their size), ground truth, the image [height, width, scale], and the image's blob or not. */
function anchorTargets(context: LayerContext, usual?: number): JavaScriptLayer {
  const param = paramOf(context);
  const stride = numberIn(param, 'feat_stride', usual);
  const border = param.number('allowed_border') ?? 0;
  const batch = param.number('RPN_BATCHSIZE') ?? 256;
  const share = param.number('RPN_FG_FRACTION') ?? 0.5;
  const positive = param.number('RPN_POSITIVE_OVERLAP') ?? 0.7;
  const negative = param.number('RPN_NEGATIVE_OVERLAP') ?? 0.3;
  const anchors = anchorsOf(anchorsIn(param));
  const count = anchors.length;
  const [scores] = context.shapes as [Shape];
  const [height = 0, width = 0] = scores.slice(-2);
  const plane = height * width;
  const draw = seededRandom(SEED);
  return {
    shapes() {
      if (scores.length !== 4 || scores[0] !== 1)
        throw new Error(`needs scores of one image, 1×C×H×W, found ${scores.join('×')}`);
      const boxes = [1, 4 * count, height, width];
      return [[1, 1, count * height, width], boxes, boxes, boxes];
    },
    forward([, truth, image]) {
      const truths = truthsIn(truth!.data);
      const [tall = 0, wide = 0] = image!.data;
      const inside: { place: number; anchor: number; box: Box; best: ReturnType<typeof best> }[] = [];
      for (let place = 0; place < plane; place++)
        anchors.forEach((anchor, index) => {
          const [x, y] = [(place % width) * stride, Math.floor(place / width) * stride];
          const box: Box = [anchor[0] + x, anchor[1] + y, anchor[2] + x, anchor[3] + y];
          if (box[0] < -border || box[1] < -border || box[2] >= wide + border || box[3] >= tall + border)
            return;
          inside.push({ place, anchor: index, box, best: best(box, truths) });
        });
      // For each true box, the anchors with the largest overlap are positive, however small it is.
      const most = truths.map(({ box }) => Math.max(0, ...inside.map((each) => overlap(each.box, box))));
      const isPositive = (each: (typeof inside)[number]) =>
        each.best.overlap >= positive ||
        truths.some(({ box }, i) => most[i]! > 0 && overlap(each.box, box) === most[i]);
      const objects = drawn(inside.filter(isPositive), Math.floor(share * batch), draw);
      const others = drawn(
        inside.filter((each) => !isPositive(each) && each.best.overlap < negative),
        batch - objects.length,
        draw,
      );
      const labels = new Float32Array(count * plane).fill(-1);
      const targets = new Float32Array(4 * count * plane);
      const [insideWeights, outsideWeights] = [targets.slice(), targets.slice()];
      const weight = 1 / Math.max(1, objects.length + others.length);
      for (const { place, anchor } of others) labels[anchor * plane + place] = 0;
      for (const { place, anchor } of objects) labels[anchor * plane + place] = 1;
      for (const { place, anchor } of [...objects, ...others])
        for (let side = 0; side < 4; side++) outsideWeights[(4 * anchor + side) * plane + place] = weight;
      for (const { place, anchor, box, best: of } of inside) {
        if (of.index < 0) continue;
        deltas(box, truths[of.index]!.box).forEach((delta, side) => {
          targets[(4 * anchor + side) * plane + place] = delta;
        });
      }
      for (const { place, anchor } of objects)
        for (let side = 0; side < 4; side++) insideWeights[(4 * anchor + side) * plane + place] = 1;
      return [labels, targets, insideWeights, outsideWeights];
    },
  };
}

/** lib/fast_rcnn/config.py (BBOX_NORMALIZE_STDS); the means are 0. */
const DEVIATIONS = [0.1, 0.1, 0.2, 0.2];

/** bottoms: regions, [R, 5], and ground truth. */
function proposalTargets(context: LayerContext, usual?: number): JavaScriptLayer {
  const param = paramOf(context);
  const classes = numberIn(param, 'num_classes', usual);
  const [regions, truth] = context.shapes as [Shape, Shape];
  const batchSize = param.number('BATCH_SIZE') ?? 128;
  // R-FCN's configuration for hard examples uses all of them.
  const batch = batchSize > 0 ? batchSize : (regions[0] ?? 0) + (truth[0] ?? 0);
  const share = param.number('FG_FRACTION') ?? 0.25;
  const from = param.number('FG_THRESH') ?? 0.5;
  const below = param.number('BG_THRESH_HI') ?? 0.5;
  const low = param.number('BG_THRESH_LO') ?? 0;
  const draw = seededRandom(SEED);
  return {
    shapes() {
      // With four axes as in py-R-FCN, where the losses of each region are added.
      const boxes = [batch, 4 * classes, 1, 1];
      return [[batch, 5], [batch, 1, 1, 1], boxes, boxes, boxes];
    },
    forward([proposed, given]) {
      const truths = truthsIn(given!.data);
      const rows = proposed!.data;
      const boxes: Box[] = truths.map(({ box }) => box);
      for (let i = 0; i + 5 <= rows.length; i += 5)
        if (rows[i]! >= 0) boxes.push([rows[i + 1]!, rows[i + 2]!, rows[i + 3]!, rows[i + 4]!]);
      const all = boxes.map((box) => ({ box, best: best(box, truths) }));
      const objects = drawn(
        all.filter((each) => each.best.overlap >= from),
        batchSize > 0 ? Math.round(share * batch) : batch,
        draw,
      );
      const others = drawn(
        all.filter(
          (each) => each.best.overlap < below && each.best.overlap >= (truths.length > 0 ? low : -1),
        ),
        batch - objects.length,
        draw,
      );
      const found = [...objects, ...others];
      const rois = new Float32Array(5 * batch);
      const labels = new Float32Array(batch);
      const targets = new Float32Array(4 * classes * batch);
      const weights = targets.slice();
      for (let row = 0; row < batch && found.length > 0; row++) {
        const { box, best: of } = found[row % found.length]!;
        rois.set(box, 5 * row + 1);
        if (row % found.length >= objects.length) continue;
        const { box: object, label } = truths[of.index]!;
        labels[row] = label;
        // With two classes, the boxes of all objects have one class: R-FCN's class-agnostic nets.
        const at = 4 * (classes * row + Math.min(label, classes - 1));
        deltas(box, object).forEach((delta, side) => {
          targets[at + side] = delta / DEVIATIONS[side]!;
          weights[at + side] = 1;
        });
      }
      return [rois, labels, targets, weights, weights.slice()];
    },
  };
}
