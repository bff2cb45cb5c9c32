/**
 * DetectionOutput of one bottom: the boxes of YOLO 2 (arXiv:1612.08242, section 2) in its first forks of Caffe
 * (github.com/gklz1982/caffe-yolov2; github.com/quhezheng/caffe_yolo_v2, which calls num_classes classes).
 */
import { sigmoid } from '../base/numbers.ts';
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildJavaScript } from './host-function.ts';
import type { Built, LayerContext } from './layer.ts';
import { type Corners, overlapOf } from './overlap.ts';
import { decodedBox, shareOf, sizesOfBoxes } from './yolo-boxes.ts';
import type { CentredBox } from './yolo-truth.ts';

interface Candidate {
  readonly object: number;
  readonly label: number;
  readonly score: number;
  readonly box: CentredBox;
}

/** The forks' defaults, which differ from SSD's. */
const USUAL = { classes: 20, boxes: 5, coords: 4, threshold: 0.01, overlap: 0.45 };

/** Rows of image, class, score, and the box by its centre and size, as shares of the image; classes count from 0. */
export function centredDetections(context: LayerContext): Built {
  const param = context.layer.detection_output_param;
  const p = withDefaults<{
    classes?: number;
    num_classes?: number;
    num_box?: number;
    coords?: number;
    side?: number;
    confidence_threshold?: number;
    nms_threshold?: number;
    biases?: readonly number[];
  }>('DetectionOutputParameter', param);
  const refuse = (field: string, text: string) => context.fail('yolo', text, positionOf(param, field));
  const classes = p.classes ?? p.num_classes ?? USUAL.classes;
  const boxes = p.num_box ?? USUAL.boxes;
  if (classes < 1 || boxes < 1)
    refuse('num_box', `classes and num_box must be at least 1, found ${classes} and ${boxes}`);
  if ((p.coords ?? USUAL.coords) !== USUAL.coords) refuse('coords', `coords must be 4, found ${p.coords}`);
  const shape = context.shapes[0]!;
  const [, , height = 0, width = 0] = shape;
  if (shape.length !== 4 || shape[0] !== 1 || shape[1] !== boxes * (5 + classes))
    context.fail(
      'yolo',
      `${boxes} boxes of ${classes} classes take a bottom of 1×${boxes * (5 + classes)}×H×W (five values and the classes of each box), found ${showShape(shape)}; SSD's DetectionOutput has at least three bottoms`,
    );
  if (p.side !== undefined && (p.side !== height || p.side !== width))
    refuse(
      'side',
      `side must be the height and width of the bottom, ${height} and ${width}; found ${p.side}`,
    );
  const sizes = sizesOfBoxes(boxes, p.biases ?? [], [width, height], refuse);
  const least = Math.fround(p.confidence_threshold ?? USUAL.threshold);
  const most = Math.fround(p.nms_threshold ?? USUAL.overlap);
  const plane = height * width;
  const layer = {
    shapes: () => [[1, 1, plane * boxes, 7]],
    forward: ([map]: readonly { readonly data: Float32Array }[]) => {
      const found: Candidate[] = [];
      for (let cell = 0; cell < plane; cell++)
        sizes.forEach((size, box) => {
          const value = (k: number) => map!.data[(box * (5 + classes) + k) * plane + cell]!;
          const object = Math.fround(sigmoid(value(4)));
          let label = 0;
          for (let k = 1; k < classes; k++) if (value(5 + k) > value(5 + label)) label = k;
          const score = Math.fround(object * shareOf(value, label, classes));
          if (score >= least)
            found.push({ object, label, score, box: decodedBox(value, cell, [width, height], size) });
        });
      const rows = new Float32Array(plane * boxes * 7).fill(-1);
      // SSD's form of an empty result.
      rows[0] = 0;
      withoutOverlaps(found, most).forEach(({ label, score, box }, row) =>
        rows.set([0, label, score, ...box], 7 * row),
      );
      return [rows];
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0 };
}

/** bbox_util.hpp (setNormalizedBBox): the part of a box in the image. */
const inImage = ([x, y, width, height]: CentredBox): Corners => [
  Math.max(0, x - width / 2),
  Math.max(0, y - height / 2),
  Math.min(1, x + width / 2),
  Math.min(1, y + height / 2),
];

/** bbox_util.hpp (ApplyNms): of two boxes that overlap, the one that is less an object goes; of equal ones, the first. */
function withoutOverlaps(found: readonly Candidate[], threshold: number): Candidate[] {
  const gone = new Set<Candidate>();
  for (const [i, a] of found.entries()) {
    if (gone.has(a)) continue;
    for (const b of found.slice(i + 1)) {
      if (gone.has(b) || overlapOf(inImage(a.box), inImage(b.box), 0) < threshold) continue;
      gone.add(a.object > b.object ? b : a);
      if (gone.has(a)) break;
    }
  }
  return found.filter((each) => !gone.has(each));
}
