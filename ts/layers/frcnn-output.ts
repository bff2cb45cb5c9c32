/**
 * FrcnnOutput of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn, frcnn_output_layer.cpp): the detections of one image,
 * from class probabilities, regressions, the regions that they move and the size of the image. Rows are [0, x1, y1, x2, y2,
 * class, probability]. The first row is [0, −1 …], so that there is a row even without detections. Rows after the last
 * detection are −1. `save_output_param` writes no files here; detect and evaluate do.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { isClassAware, movedRegion, normalisationOf } from './box-regression.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import type { Corners } from './overlap.ts';
import { nmsTypeOf, type Region, suppressed } from './suppression.ts';

export const frcnnOutputLayers: Layers = {
  FrcnnOutput: { build: frcnnOutput, bottoms: [4, 4] },
};

interface Parameters {
  readonly conf_thr: number;
  readonly iou_thr: number;
  readonly nms_type: string;
  readonly max_det_num: number;
}

interface Found extends Region {
  readonly label: number;
}

/** Values of a row of detections. */
const ROW = 7;

function frcnnOutput(context: LayerContext): Built {
  const param = context.layer.frcnn_output_param;
  const p = withDefaults<Parameters>('FrcnnOutputParameter', param);
  const type = nmsTypeOf(context, p.nms_type, param);
  const isAware = isClassAware(context);
  const normalisation = normalisationOf(context);
  const [scores, deltas, regions, size] = context.shapes as [Shape, Shape, Shape, Shape];
  const count = scores[0] ?? 0;
  const classes = elementCount(scores) / count;
  const [sides, width] = [elementCount(deltas) / count, elementCount(regions) / count];
  if (
    scores[1] !== classes ||
    classes < 2 ||
    deltas[0] !== count ||
    sides !== (isAware ? 4 * classes : 8) ||
    regions[0] !== count ||
    (width !== 5 && width !== 6) ||
    elementCount(size) !== 2
  )
    context.fail(
      'shape',
      `takes probabilities R×C, regressions ${isAware ? 'R×4·C' : 'R×8 (cls_aware: false)'}, regions R×5, or R×6 with a score, and the height and width of one image, 1×2; found ${context.shapes.map(showShape).join(', ')}`,
    );
  const all = count * (classes - 1);
  const most = 1 + (p.max_det_num > 0 ? Math.min(all, p.max_det_num) : all);
  const top = [most, ROW, 1, 1];
  checkTop(context, top);
  const layer: JavaScriptLayer = {
    shapes: () => [top],
    forward: ([probabilities, moves, from, image]) => {
      const [height = 0, wide = 0] = image!.data;
      const rows = Array.from({ length: count }, (_, row) => row).filter((row) => {
        const number = from!.data[row * width]!;
        if (number > 0)
          throw new Error(`region ${row} belongs to image ${number}, but the batch is one image`);
        // Rows without a region have no detections.
        return number === 0;
      });
      const boxOf = (row: number, k: number): Corners => {
        const at = row * width + 1;
        const box = from!.data.subarray(at, at + 4) as unknown as Corners;
        const moved = movedRegion(box, (side) => moves!.data[row * sides + 4 * k + side]!, normalisation);
        return [
          Math.max(0, moved[0]),
          Math.max(0, moved[1]),
          Math.min(wide, moved[2]),
          Math.min(height, moved[3]),
        ];
      };
      const found: Found[] = [];
      for (let label = 1; label < classes; label++) {
        const ofClass = rows
          .map((row) => ({ row, score: probabilities!.data[row * classes + label]! }))
          .filter(({ score }) => score >= Math.fround(p.conf_thr))
          .map(({ row, score }): Found => ({ label, score, box: boxOf(row, isAware ? label : 1) }))
          .sort((a, b) => b.score - a.score);
        found.push(...suppressed(ofClass, p.iou_thr, 1, type));
      }
      const result = new Float32Array(most * ROW).fill(-1);
      result[0] = 0;
      bestOf(found, p.max_det_num).forEach(({ label, score, box }, i) => {
        result.set([0, ...box, label, score], (i + 1) * ROW);
      });
      return [result];
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0 };
}

/** The best detections by class in descending order, up to a number; 0: all. */
function bestOf(found: readonly Found[], limit: number): readonly Found[] {
  if (limit === 0 || found.length <= limit) return found;
  const best = found.toSorted((a, b) => b.score - a.score).slice(0, limit);
  return best.sort((a, b) => a.label - b.label || b.score - a.score);
}
