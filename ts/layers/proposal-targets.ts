/** Labels and regressions of regions (lib/rpn/proposal_target_layer.py of py-faster-rcnn), computed on the host. */
import { drawn, seededRandom } from '../base/random.ts';
import type { Shape } from '../base/shape.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { LayerContext } from './layer.ts';
import type { PythonParam } from './python-param.ts';
import { type Box, best, columnsOf, deltas, numberIn, paramOf, SEED, truthsIn } from './true-boxes.ts';

/** lib/fast_rcnn/config.py (BBOX_NORMALIZE_STDS); the means are 0. */
const DEVIATIONS = [0.1, 0.1, 0.2, 0.2];

/** bottoms: regions, [R, 5], and ground truth. */
export function proposalTargets(context: LayerContext, usual?: number): JavaScriptLayer {
  const param = paramOf(context);
  const classes = numberIn(param, 'num_classes', usual);
  const [regions, truth] = context.shapes as [Shape, Shape];
  const columns = columnsOf(context, truth);
  const batchSize = param.number('BATCH_SIZE') ?? 128;
  // R-FCN's configuration for hard examples uses all of them.
  const batch = batchSize > 0 ? batchSize : (regions[0] ?? 0) + (truth[0] ?? 0);
  const share = param.number('FG_FRACTION') ?? 0.25;
  const from = param.number('FG_THRESH') ?? 0.5;
  const below = param.number('BG_THRESH_HI') ?? 0.5;
  const low = param.number('BG_THRESH_LO') ?? 0;
  const draw = seededRandom(SEED);
  const further = context.topCount > 5 ? furtherLabels(context, param, { batch, share, columns }) : null;
  return {
    shapes() {
      // With four axes as in py-R-FCN, where the losses of each region are added.
      const boxes = [batch, 4 * classes, 1, 1];
      return [
        [batch, 5],
        [batch, 1, 1, 1],
        boxes,
        boxes,
        boxes,
        ...(further === null ? [] : [further.shape]),
      ];
    },
    forward([proposed, given]) {
      const truths = truthsIn(given!.data, columns);
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
      const rows5 = [rois, labels, targets, weights, weights.slice()];
      if (further === null) return rows5;
      const matched = objects.map((each) => truths[each.best.index]!.row);
      return [...rows5, further.values(matched, found.length)];
    },
  };
}

/** The columns of bottom-up-attention's attributes, after the class. */
const ATTRIBUTES = 16;

interface FurtherLabels {
  readonly shape: Shape;
  /** @param objects The rows of the true boxes of the objects, which are the first of `found` regions. */
  readonly values: (objects: readonly Float32Array[], found: number) => Float32Array;
}

/**
 * The sixth top of proposal_target_layer.py: the attributes of the objects (peteanderson80/bottom-up-attention,
 * num_attr_classes), or the label in the column after the class (ShuangLI59/person_search, bg_aux_label).
 */
function furtherLabels(
  context: LayerContext,
  param: PythonParam,
  { batch, share, columns }: { batch: number; share: number; columns: number },
): FurtherLabels {
  const hasAttributes = (param.number('num_attr_classes') ?? 0) > 0;
  const needed = 5 + (hasAttributes ? ATTRIBUTES : 1);
  if ((param.number('num_rel_classes') ?? 0) > 0)
    context.fail('unsupported', 'num_rel_classes, the labels of relations, is not supported', 'python_param');
  if (columns < needed)
    context.fail(
      'shape',
      `a sixth top needs ground truth of ${needed} columns (x1, y1, x2, y2, class, ${hasAttributes ? `${ATTRIBUTES} attributes` : 'a further label'}), found ${columns}; a shape for that input may be given (--input-shape gt_boxes=1,${needed})`,
    );
  if (!hasAttributes) {
    const background = param.number('bg_aux_label') ?? 0;
    return {
      shape: [batch, 1],
      values: (objects, found) =>
        Float32Array.from({ length: batch }, (_, row) =>
          found === 0 ? background : (objects[row % found]?.[5] ?? background),
        ),
    };
  }
  const rows = Math.round(share * batch);
  const ignored = param.number('ignore_label') ?? -1;
  return {
    shape: [rows, ATTRIBUTES],
    // An attribute of 0 after the first means that there is no further one.
    values: (objects) =>
      Float32Array.from({ length: rows * ATTRIBUTES }, (_, i) => {
        const column = i % ATTRIBUTES;
        const label = objects[Math.floor(i / ATTRIBUTES)]?.[5 + column] ?? ignored;
        return label === 0 && column > 0 ? ignored : label;
      }),
  };
}
