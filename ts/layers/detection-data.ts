/**
 * The shapes of data layers of detectors, from the prototxt: MS-CNN's ImageGtData (github.com/zhaoweicai/mscnn,
 * image_gt_data_layer.cpp), and DetectionData and EvalData of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn,
 * detection_data_layer.cpp, eval_data_layer.cpp). They read no data here; their tops are inputs.
 */
import type { Shape } from '../base/shape.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** The size fields of all three. */
interface Sizes {
  readonly batch_size?: number;
  readonly resize_width?: number;
  readonly resize_height?: number;
  readonly crop_width?: number;
  readonly crop_height?: number;
  readonly short_size?: number;
  readonly long_size?: number;
  readonly crop_short_size?: number;
  readonly crop_long_size?: number;
  readonly downsample_rate?: readonly number[];
  readonly stride?: readonly number[];
  readonly output_gt_boxes?: boolean;
}

const PARAMS: Readonly<Record<string, { readonly field: `${string}_param`; readonly truth: number }>> = {
  ImageGtData: { field: 'image_gt_data_param', truth: 7 },
  DetectionData: { field: 'detection_data_param', truth: 8 },
  EvalData: { field: 'eval_data_param', truth: 8 },
};

/** Planes of a label: class, x, y, width, height, overlap. */
const LABEL_PLANES = 6;

/**
 * The tops: images, the labels for each kind of box, the boxes of ground truth (one per image if the number is unknown), and
 * for EvalData the sizes of the images.
 * @param image The first top's shape, if it is given; the labels' shapes follow from it.
 * @returns Null for another layer, or if the prototxt does not determine the shapes
 */
export function detectionDataShapes(layer: LayerParameter, image: Shape | undefined): Shape[] | null {
  const of = Object.hasOwn(PARAMS, layer.type ?? '') ? PARAMS[layer.type!] : undefined;
  if (of === undefined) return null;
  const p = (layer[of.field] ?? {}) as Sizes;
  const first = image ?? imageShape(p);
  if (first === null) return null;
  const [batch = 1, , height = 1, width = 1] = first;
  const labels = (p.downsample_rate ?? p.stride ?? []).map(
    (stride): Shape => [
      ...[batch, LABEL_PLANES],
      ...[height, width].map((side) => Math.max(1, Math.round(side / stride))),
    ],
  );
  const truth: Shape = [batch, of.truth, 1, 1];
  const all = [first, ...labels, truth, [batch, 2, 1, 1]];
  const tops = layer.top?.length ?? 0;
  return tops > all.length ? null : all.slice(0, tops);
}

/**
 * A crop takes precedence over a size. Of a short and a long side, the short one counts as the width until images are read.
 */
function imageShape(p: Sizes): Shape | null {
  const sizes = [
    [p.crop_height, p.crop_width],
    [p.crop_long_size, p.crop_short_size],
    [p.resize_height, p.resize_width],
    [p.long_size, p.short_size],
  ].find(([height = 0, width = 0]) => height > 0 && width > 0);
  return sizes === undefined || !p.batch_size ? null : [p.batch_size, 3, ...(sizes as [number, number])];
}
