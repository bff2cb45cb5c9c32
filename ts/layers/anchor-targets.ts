/** Labels and regressions of anchors (lib/rpn/anchor_target_layer.py of py-faster-rcnn, and SSH's), computed on the host. */
import { drawn, seededRandom } from '../base/random.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { LayerContext } from './layer.ts';
import { anchorsIn, anchorsOf } from './proposal.ts';
import {
  type Box,
  best,
  columnsOf,
  deltas,
  numberIn,
  overlap,
  paramOf,
  SEED,
  truthsIn,
} from './true-boxes.ts';

/** Which anchors are examples, and the names of the settings. */
interface Anchoring {
  readonly batch: readonly [name: string, usual: number];
  readonly share: readonly [name: string, usual: number];
  readonly positive: readonly [name: string, usual: number];
  readonly negative: readonly [name: string, usual: number];
  /** For each true box, the anchors with the largest overlap are positive, however small it is. */
  readonly isForced: boolean;
}

const FASTER: Anchoring = {
  batch: ['RPN_BATCHSIZE', 256],
  share: ['RPN_FG_FRACTION', 0.5],
  positive: ['RPN_POSITIVE_OVERLAP', 0.7],
  negative: ['RPN_NEGATIVE_OVERLAP', 0.3],
  isForced: true,
};

/** SSH/configs/default_config.yml */
export const SSH: Anchoring = {
  batch: ['ANCHORS_PER_BATCH', 256],
  share: ['ANCHOR_FG_FRACTION', 0.25],
  positive: ['positive_overlap', 0.5],
  negative: ['ANCHOR_NEGATIVE_OVERLAP', 0.3],
  isForced: false,
};

/**
 * bottoms: scores (for their size), ground truth, the image [height, width, scale], the image's blob or not, and the scores by
 * which hard examples are chosen, or not.
 */
export function anchorTargets(context: LayerContext, usual?: number, of = FASTER): JavaScriptLayer {
  const param = paramOf(context);
  const stride = numberIn(param, 'feat_stride', usual);
  const border = param.number('allowed_border') ?? 0;
  const [batch, share, positive, negative] = [of.batch, of.share, of.positive, of.negative].map(
    ([name, value]) => param.number(name) ?? value,
  ) as [number, number, number, number];
  const anchors = anchorsOf(anchorsIn(param));
  const count = anchors.length;
  const [scores, truth, , , hardness] = context.shapes as [Shape, Shape, Shape, Shape?, Shape?];
  const [height = 0, width = 0] = scores.slice(-2);
  const plane = height * width;
  const columns = columnsOf(context, truth);
  if (hardness !== undefined && elementCount(hardness) !== 2 * count * plane)
    context.fail(
      'shape',
      `the fifth bottom must have two scores for each of ${count} anchors at ${height}×${width} places, found ${showShape(hardness)}`,
    );
  const draw = seededRandom(SEED);
  return {
    shapes() {
      if (scores.length !== 4 || scores[0] !== 1)
        throw new Error(`needs scores of one image, 1×C×H×W, found ${scores.join('×')}`);
      const boxes = [1, 4 * count, height, width];
      return [[1, 1, count * height, width], boxes, boxes, boxes];
    },
    forward([, given, image, , hard]) {
      const truths = truthsIn(given!.data, columns);
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
      const most = of.isForced
        ? truths.map(({ box }) => inside.reduce((top, each) => Math.max(top, overlap(each.box, box)), 0))
        : [];
      const isPositive = (each: (typeof inside)[number]) =>
        each.best.overlap >= positive ||
        truths.some(({ box }, i) => (most[i] ?? 0) > 0 && overlap(each.box, box) === most[i]);
      const scoreOf = ({ anchor, place }: (typeof inside)[number]) =>
        hard!.data[(count + anchor) * plane + place]!;
      // Without scores, examples are drawn. With them, an object is harder the lower its score is.
      const selected = (list: typeof inside, most: number, sign: 1 | -1) =>
        hard === undefined
          ? drawn(list, most, draw)
          : list.toSorted((a, b) => sign * (scoreOf(a) - scoreOf(b))).slice(0, most);
      const objects = selected(inside.filter(isPositive), Math.floor(share * batch), 1);
      const others = selected(
        inside.filter((each) => !isPositive(each) && each.best.overlap < negative),
        batch - objects.length,
        -1,
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
