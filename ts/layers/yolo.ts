/**
 * YOLO's layers (github.com/eric612/MobileNet-YOLO; Reorg is also in Intel's and Synopsys's forks): Reorg, and the boxes of
 * version 2 (arXiv:1612.08242) and version 3 (arXiv:1804.02767), which the host computes, as in the forks.
 */
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import { planesOf } from './window.ts';
import { boxesOfMap, type Size, sizesOfBoxes, withoutOverlaps } from './yolo-boxes.ts';

export const yoloLayers: Layers = {
  Reorg: { build: reorg },
  YoloDetectionOutput: { build: yoloDetectionOutput, bottoms: ANY },
  Yolov3DetectionOutput: { build: yolov3DetectionOutput, bottoms: ANY },
};

/**
 * reorg_layer.cpp: positions of stride × stride become channels, or the reverse. Without reverse it reads its bottom as if
 * it were N×C/stride²×(stride·H)×(stride·W), as darknet does.
 */
function reorg(context: LayerContext): Built {
  const p = withDefaults<{ stride?: number; reverse: boolean }>('ReorgParameter', context.layer.reorg_param);
  const [n, channels, height, width] = planesOf(context);
  // choasup/caffe-yolo9000 omits reorg_param if its default of 2 applies.
  const { stride = context.layer.reorg_param === undefined ? 2 : 0 } = p;
  if (stride < 1)
    context.fail('reorg', `stride must be given and at least 1, found ${stride}`, 'reorg_param');
  const places = stride * stride;
  if (channels % places !== 0 || (!p.reverse && (height % stride !== 0 || width % stride !== 0)))
    context.fail(
      'reorg',
      `stride ${stride} needs channels that are divisible by ${places}${p.reverse ? '' : `, and sides that are divisible by ${stride}`}; found ${showShape(context.shapes[0]!)}`,
      positionOf(context.layer.reorg_param, 'stride'),
    );
  const fewer = channels / places;
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms;
  if (p.reverse) {
    const apart = layer.reshape(x!, [n, stride, stride, fewer, height, width]);
    const placed = layer.permute(apart, [0, 3, 4, 1, 5, 2]);
    return layer.built([layer.reshape(placed, [n, fewer, height * stride, width * stride])]);
  }
  const apart = layer.reshape(x!, [n, fewer, height, stride, width, stride]);
  const stacked = layer.permute(apart, [0, 3, 5, 1, 2, 4]);
  return layer.built([layer.reshape(stacked, [n, channels * places, height / stride, width / stride])]);
}

interface YoloParameter {
  readonly num_classes: number;
  readonly num_box: number;
  readonly confidence_threshold: number;
  readonly nms_threshold: number;
  readonly biases?: readonly number[];
}

/** yolo_detection_output_layer.cpp: sizes in cells, the same boxes on each map, a softmax over the classes. */
function yoloDetectionOutput(context: LayerContext): Built {
  const param = context.layer.yolo_detection_output_param;
  const p = withDefaults<YoloParameter & { coords: number }>('YoloDetectionOutputParameter', param);
  if (p.coords !== 4)
    context.fail('yolo', `coords must be 4, found ${p.coords}`, positionOf(param, 'coords'));
  const { biases = [] } = p;
  const refuse = (field: string, text: string) => context.fail('yolo', text, positionOf(param, field));
  const boxes = context.shapes.flatMap(([, , height = 1, width = 1]) =>
    sizesOfBoxes(p.num_box, biases, [width, height], refuse),
  );
  return detections(context, p, boxes, true, (score) => score >= Math.fround(p.confidence_threshold));
}

interface Yolov3Parameter extends YoloParameter {
  readonly anchors_scale?: readonly number[];
  readonly mask_group_num: number;
  readonly mask?: readonly number[];
  readonly gaussian_box: boolean;
}

/** yolov3_detection_output_layer.cpp: sizes in pixels, boxes of each map by its mask, a sigmoid for each class. */
function yolov3DetectionOutput(context: LayerContext): Built {
  const param = context.layer.yolov3_detection_output_param;
  const p = withDefaults<Yolov3Parameter>('Yolov3DetectionOutputParameter', param);
  const refuse = (field: string, text: string) => context.fail('yolo', text, positionOf(param, field));
  const { biases = [], mask = [], anchors_scale: scales = [] } = p;
  const maps = context.shapes.length;
  if (p.gaussian_box)
    refuse('gaussian_box', 'gaussian_box: true, boxes with their uncertainty, is not supported');
  if (p.mask_group_num !== maps)
    refuse(
      'mask_group_num',
      `mask_group_num must be the number of bottoms, ${maps}; found ${p.mask_group_num}`,
    );
  if (scales.length < maps || scales.some((scale) => scale < 1))
    refuse(
      'anchors_scale',
      `${maps} bottoms take as many anchors_scale from 1 on, found ${scales.join(', ')}`,
    );
  if (mask.length !== maps * p.num_box)
    refuse(
      'mask',
      `${maps} bottoms of ${p.num_box} boxes take ${maps * p.num_box} mask, found ${mask.length}`,
    );
  const unknown = mask.find((box) => 2 * box + 1 >= biases.length);
  if (unknown !== undefined)
    refuse('mask', `mask ${unknown} has no biases: there are ${biases.length}, two for each box`);
  const boxes = mask.map((box, i): Size => {
    const map = Math.floor(i / p.num_box);
    const [, , height = 1, width = 1] = context.shapes[map]!;
    return [biases[2 * box]! / (width * scales[map]!), biases[2 * box + 1]! / (height * scales[map]!)];
  });
  return detections(context, p, boxes, false, (score) => score > Math.fround(p.confidence_threshold));
}

function detections(
  context: LayerContext,
  { num_classes: classes, num_box: boxesOfCell, nms_threshold: nmsThreshold }: YoloParameter,
  sizes: readonly Size[],
  softmax: boolean,
  isEnough: (score: number) => boolean,
): Built {
  if (classes < 1 || boxesOfCell < 1)
    context.fail('yolo', `num_classes and num_box must be at least 1, found ${classes} and ${boxesOfCell}`);
  const images = context.shapes[0]![0] ?? 1;
  const channels = boxesOfCell * (5 + classes);
  for (const shape of context.shapes)
    if (shape.length !== 4 || shape[0] !== images || shape[1] !== channels)
      context.fail(
        'yolo',
        `${boxesOfCell} boxes of ${classes} classes take bottoms of ${images}×${channels}×H×W (five values and the classes of each box), found ${showShape(shape)}`,
      );
  const all = context.shapes.reduce((sum, [, , h, w]) => sum + h! * w! * boxesOfCell, 0);
  const layer: JavaScriptLayer = {
    shapes: () => [[1, 1, images * all, 7]],
    forward: (maps) => {
      const rows = new Float32Array(images * all * 7).fill(-1);
      let row = 0;
      for (let image = 0; image < images; image++) {
        const found = maps.flatMap(({ shape, data }, map) => {
          const [, , height, width] = shape as [number, number, number, number];
          const own = data.subarray(
            image * channels * height * width,
            (image + 1) * channels * height * width,
          );
          const ofMap = sizes.slice(map * boxesOfCell, (map + 1) * boxesOfCell);
          return boxesOfMap({ data: own, height, width, classes, softmax }, ofMap, isEnough);
        });
        for (const { label, score, box } of withoutOverlaps(found, nmsThreshold))
          rows.set([image, label + 1, score, ...box], 7 * row++);
      }
      // SSD's form of an empty result.
      if (row === 0) for (let image = 0; image < images; image++) rows[7 * image] = image;
      return [rows];
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0 };
}
