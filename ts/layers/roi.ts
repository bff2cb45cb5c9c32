/**
 * Regions of interest: ROIPooling (Fast R-CNN, github.com/rbgirshick/caffe-fast-rcnn), PSROIPooling (R-FCN,
 * github.com/daijifeng001/caffe-rfcn), ROIAlign (Cascade R-CNN, github.com/zhaoweicai/cascade-rcnn, and Mask R-CNN's),
 * ROIMaskPooling (GBD-Net, github.com/craftGBD/caffe-GBD).
 */
import type { Shape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation } from './operation.ts';
import { regionRows } from './region-rows.ts';
import { planesOf } from './window.ts';

export const regionLayers: Layers = {
  ROIPooling: { build: roiPooling, bottoms: [2, 2] },
  PSROIPooling: { build: psRoiPooling, bottoms: [2, 2] },
  ROIAlign: { build: roiAlign, bottoms: [2, 2] },
  ROIMaskPooling: { build: roiMaskPooling, bottoms: [2, 2] },
};

interface Pooled {
  readonly pooled_h: number;
  readonly pooled_w: number;
  readonly spatial_scale: number;
}

function pooledOf<T extends Pooled = Pooled>(
  context: LayerContext,
  type: string,
  field: `${string}_param`,
): T {
  const p = withDefaults<T>(type, context.layer[field]);
  for (const name of ['pooled_h', 'pooled_w'] as const)
    if (p[name] < 1) context.fail('regions', `${name} must be given and at least 1`, field);
  return p;
}

/** roi_pooling_layer.cpp */
function roiPooling(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const p = pooledOf<Pooled & { pad_ratio: number }>(context, 'ROIPoolingParameter', 'roi_pooling_param');
  const top = [regionRows(context, context.shapes[1]!), channels, p.pooled_h, p.pooled_w];
  return aroundRegions(context, { kind: 'roiPooling', spatialScale: p.spatial_scale }, top, p.pad_ratio);
}

/** roi_pooling_layer.cpp and roi_align_layer.cpp of MS-CNN: each region is extended by a share of its sides. */
function aroundRegions(context: LayerContext, operation: Operation, top: Shape, ratio: number): Built {
  if (ratio === 0) return { operation, tops: [top] };
  const layer = new Composition(context.shapes);
  const [x, regions] = layer.bottoms as [Part, Part];
  return layer.built([layer.one(operation, [x, widened(layer, regions, ratio)], top, [true, false])]);
}

function widened(layer: Composition, regions: Part, ratio: number): Part {
  const rows = regions.shape[0]!;
  const column = [rows, 1];
  const [image, x1, y1, x2, y2] = layer.add(
    { kind: 'slice', axis: 1 },
    [layer.reshape(regions, [rows, 5])],
    Array<Shape>(5).fill(column),
  ) as [Part, Part, Part, Part, Part];
  const sum = (a: Part, b: Part, sign: 1 | -1) =>
    layer.one(
      { kind: 'eltwise', operation: 'sum', coefficients: [1, sign], stableProdGrad: true, relu: null },
      [a, b],
      column,
    );
  const [wide, tall] = (
    [
      [x1, x2],
      [y1, y2],
    ] as const
  ).map(([low, high]) =>
    layer.one({ kind: 'power', power: 1, scale: ratio, shift: ratio }, [sum(high, low, -1)], column),
  ) as [Part, Part];
  const sides = [image, sum(x1, wide, -1), sum(y1, tall, -1), sum(x2, wide, 1), sum(y2, tall, 1)];
  return layer.one({ kind: 'concat', axis: 1 }, sides, [rows, 5]);
}

/** psroi_pooling_layer.cpp */
function psRoiPooling(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const p = withDefaults<{ spatial_scale?: number; output_dim?: number; group_size?: number }>(
    'PSROIPoolingParameter',
    context.layer.psroi_pooling_param,
  );
  const { output_dim: outputs = 0, group_size: group = 0, spatial_scale: scale } = p;
  if (outputs < 1 || group < 1 || scale === undefined)
    context.fail(
      'regions',
      'spatial_scale, output_dim and group_size must be given, the last two at least 1',
      'psroi_pooling_param',
    );
  if (channels !== outputs * group * group)
    context.fail(
      'shape',
      `output_dim ${outputs} with group_size ${group} needs ${outputs * group * group} channels, the bottom has ${channels}`,
    );
  return {
    operation: { kind: 'psRoiPooling', spatialScale: scale, group },
    tops: [[regionRows(context, context.shapes[1]!), outputs, group, group]],
  };
}

/** The largest number of samples along a side of a bin (native/operations/roi-align). */
const MOST_SAMPLES = 256;

/**
 * Three layers share this name; their fields distinguish them. Cascade R-CNN's has roi_pooling_param. Mask R-CNN's for Caffe
 * (github.com/jasjeetIM/Mask-RCNN) has roi_align_param and computes a maximum. With sampling_ratio or aligned in it, the
 * layer is the mean of samples, as in Detectron and torchvision.
 */
function roiAlign(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const param = context.layer.roi_align_param;
  const isCorners = param === undefined;
  const field = isCorners ? 'roi_pooling_param' : 'roi_align_param';
  const p = pooledOf<Pooled & { sampling_ratio?: number; aligned?: boolean; pad_ratio?: number }>(
    context,
    isCorners ? 'ROIPoolingParameter' : 'ROIAlignParameter',
    field,
  );
  const { sampling_ratio: ratio, aligned } = p;
  if (!isCorners && context.layer.roi_pooling_param !== undefined)
    context.fail(
      'regions',
      "gives both roi_pooling_param (Cascade R-CNN's ROIAlign) and roi_align_param (Mask R-CNN's); keep the one of the layer that the net was trained with",
      'roi_align_param',
    );
  if ((ratio ?? 0) > MOST_SAMPLES)
    context.fail(
      'regions',
      `sampling_ratio must be at most ${MOST_SAMPLES}, found ${ratio}`,
      positionOf(param, 'sampling_ratio'),
    );
  const corner = isCorners ? 1 : 0;
  return aroundRegions(
    context,
    {
      kind: 'roiAlign',
      spatialScale: p.spatial_scale,
      form: isCorners ? 'corners' : ratio === undefined && aligned === undefined ? 'maximum' : 'mean',
      samplingRatio: Math.max(ratio ?? 0, 0),
      aligned: aligned ?? false,
    },
    [regionRows(context, context.shapes[1]!), channels, p.pooled_h + corner, p.pooled_w + corner],
    p.pad_ratio ?? 0,
  );
}

/** half_part of roi_mask_pooling_param. */
const PARTS = ['whole', 'left', 'right', 'top', 'bottom'] as const;

/** roi_mask_pooling_layer.cu of GBD-Net. It treats an unknown half_part as none. */
function roiMaskPooling(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const p = pooledOf<
    Pooled & { half_part: number; roi_scale: number; mask_scale: number; spatial_shift: number }
  >(context, 'ROIMaskPoolingParameter', 'roi_mask_pooling_param');
  return {
    operation: {
      kind: 'roiMaskPooling',
      spatialScale: p.spatial_scale,
      shift: p.spatial_shift,
      part: PARTS[p.half_part] ?? 'whole',
      regionScale: p.roi_scale,
      maskScale: p.mask_scale,
    },
    tops: [[regionRows(context, context.shapes[1]!), channels, p.pooled_h, p.pooled_w]],
  };
}
