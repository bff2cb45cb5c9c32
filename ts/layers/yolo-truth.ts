/**
 * True boxes for the losses and tests of YOLO. MobileNet-YOLO's (github.com/eric612/MobileNet-YOLO, AnnotatedData with
 * yolo_data_type: 1) are N×1×K×5: rows of class, centre, width and height, up to the first width of 0. Those of Intel's
 * fork (github.com/intel/caffe) are SSD's rows, 1×1×K×8, in which class 0 is the background.
 */
import { type Shape, showShape } from '../base/shape.ts';
import type { LayerContext } from './layer.ts';

/** Centre, width and height, relative to the image. */
export type CentredBox = readonly [x: number, y: number, width: number, height: number];

export interface YoloTruth {
  /** Counted from 0. */
  readonly label: number;
  readonly box: CentredBox;
}

export type TruthLayout = 'centred' | 'corners';

/** The form of a label. */
export function truthLayout(context: LayerContext, images: number, label: Shape): TruthLayout {
  if (label.at(-1) === 5 && label[0] === images) return 'centred';
  if (label.length === 4 && label.at(-1) === 8 && label[0] === 1 && label[1] === 1) return 'corners';
  return context.fail(
    'yolo',
    `the label must be ${images}×1×K×5 (class, centre, width, height: AnnotatedData with yolo_data_type: 1) or 1×1×K×8 (image, class, instance, x1, y1, x2, y2, difficult), found ${showShape(label)}`,
  );
}

/**
 * The true boxes of each image.
 * @throws Error for an image or a class that does not exist, a centre outside the image, or invalid sides
 */
export function truthsOf(
  data: Float32Array,
  layout: TruthLayout,
  images: number,
  classes: number,
): YoloTruth[][] {
  const truths = Array.from({ length: images }, (): YoloTruth[] => []);
  const add = (image: number, label: number, box: CentredBox, row: number) => {
    const inside = box.slice(0, 2).every((at) => at >= 0 && at < 1);
    if (!(image < images) || !(label >= 0 && label < classes) || !inside)
      throw new Error(
        `row ${row} of the label has image ${image}, class ${label}${layout === 'corners' ? ' after the background' : ''} and centre ${box[0]}, ${box[1]}; expected an image below ${images}, a class from 0 to ${classes - 1} and a centre from 0 to below 1`,
      );
    // Logarithms of sides are learned. Intel's fork limits the logarithm of a side of 0.
    const isBox = box
      .slice(2)
      .every((side) => Number.isFinite(side) && (layout === 'corners' ? side >= 0 : side > 0));
    if (!isBox)
      throw new Error(
        `row ${row} of the label has a width of ${box[2]} and a height of ${box[3]}; expected finite values ${layout === 'corners' ? 'of at least' : 'above'} 0`,
      );
    truths[image]!.push({ label, box });
  };
  if (layout === 'centred') {
    const perImage = data.length / images / 5;
    for (let image = 0; image < images; image++)
      for (let row = 0; row < perImage; row++) {
        const at = (image * perImage + row) * 5;
        const [label, x, y, width, height] = data.subarray(at, at + 5) as unknown as [number, ...CentredBox];
        if (width === 0) break;
        add(image, Math.trunc(label), [x, y, width, height], row);
      }
    return truths;
  }
  for (let row = 0; row < data.length / 8; row++) {
    const [image, label, , x1, y1, x2, y2] = data.subarray(8 * row, 8 * row + 8) as unknown as number[] &
      [number, number, number, number, number, number, number];
    if (Math.trunc(image) < 0) continue;
    add(Math.trunc(image), Math.trunc(label) - 1, [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], row);
  }
  return truths;
}

/** Intersection over union of boxes by their centres and sides. */
export function centredOverlap(a: CentredBox, b: CentredBox): number {
  const shared = (k: 0 | 1) =>
    Math.min(a[k] + a[k + 2]! / 2, b[k] + b[k + 2]! / 2) -
    Math.max(a[k] - a[k + 2]! / 2, b[k] - b[k + 2]! / 2);
  const [width, height] = [shared(0), shared(1)];
  if (width < 0 || height < 0) return 0;
  return (width * height) / (a[2] * a[3] + b[2] * b[3] - width * height);
}
