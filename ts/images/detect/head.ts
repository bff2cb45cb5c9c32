/**
 * Recognises by its layers where a net's boxes come from: an SSD's DetectionOutput, YOLO's layers, regions with classes
 * (R-CNN), those of MS-CNN, or the boxes that Cascade R-CNN's last stage decodes.
 */
import { GraphError } from '../../base/errors.ts';
import { elementCount } from '../../base/shape.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { Graph } from '../../graph/graph.ts';
import { describeOutputs, makerOf } from '../features/blob-makers.ts';
import type { Size } from '../geometry.ts';
import type { WholeResize } from '../whole.ts';

/** The rows of an SSD's or a YOLO's output layer. */
export interface SsdHead {
  readonly kind: 'ssd';
  readonly layer: string;
  readonly classes: number;
  /** Null if no class is the background. */
  readonly background: number | null;
  readonly detections: string;
  /** The blobs from which the rows are computed; non-finite scores yield no row. */
  readonly scores: readonly string[];
  /**
   * The box of a row: its corners, x before y, if this is missing; with y before x, as set by yx_order in the PriorBox layers
   * of synopsys-caffe; or its centre and size, in the first forks for YOLO 2.
   */
  readonly form?: 'yx' | 'centred';
}

/** Regions of interest, each with a row of class probabilities and a row of regressions. */
export interface RegionHead {
  readonly kind: 'regions';
  readonly classes: number;
  readonly background: 0;
  readonly regions: string;
  readonly probabilities: string;
  readonly regressions: string;
  /**
   * The number of sets of four regressions in a row: one for all classes, two (class-agnostic, as in R-FCN), or one per
   * class.
   */
  readonly sets: number;
  /** The input with the image's height, width and scale. */
  readonly imageInfo: string;
}

/** The boxes of the last stage, which are the same for all classes, and their probabilities. */
export interface CascadeHead {
  readonly kind: 'cascade';
  readonly classes: number;
  readonly background: 0;
  readonly boxes: string;
  readonly probabilities: string;
}

/** Proposals, each with a row of class scores and a row of regressions per class. */
export interface MsCnnHead {
  readonly kind: 'mscnn';
  readonly classes: number;
  readonly background: 0;
  /** Rows of image, corners and, in the second top of BoxOutput, a score. */
  readonly regions: string;
  readonly scores: string;
  /** Whether the scores come from a Softmax. */
  readonly isProbability: boolean;
  readonly regressions: string;
}

export type DetectorHead = SsdHead | RegionHead | CascadeHead | MsCnnHead;

/** The blobs from which boxes are computed. */
export function outputsOf(head: DetectorHead): string[] {
  switch (head.kind) {
    case 'ssd':
      return [head.detections, ...head.scores];
    case 'cascade':
      return [head.boxes, head.probabilities];
    case 'mscnn':
      return [head.regions, head.scores, head.regressions];
    case 'regions':
      return [head.regions, head.probabilities, head.regressions];
  }
}

/** The blob that has one row per image if the net takes several images. */
export const rowsBlobOf = (head: DetectorHead): string =>
  head.kind === 'ssd' ? head.scores[0]! : outputsOf(head)[0]!;

/** The number of image pixels per pixel of the coarsest map of a pyramid: run_cascadercnn_coco.m. */
const COARSEST = 32;

/**
 * The default size of images: __C.TEST.SCALES and MAX_SIZE of py-faster-rcnn. For Cascade R-CNN the sides in its nets,
 * rounded as in its script if they are multiples.
 */
export function usualResize({ kind }: DetectorHead, size: Size): WholeResize {
  const { width, height } = size;
  if (kind === 'regions') return { shorterSide: 600, longestSide: 1000 };
  if (kind !== 'cascade') return size;
  const sides = { shorterSide: Math.min(width, height), longestSide: Math.max(width, height) };
  const areMultiples = width % COARSEST === 0 && height % COARSEST === 0;
  return areMultiples ? { ...sides, multipleOf: COARSEST } : sides;
}

const POOLING = ['ROIPooling', 'PSROIPooling', 'ROIAlign', 'ROIMaskPooling'];
/**
 * @param net A net that is filtered for phase TEST.
 * @throws GraphError `detector/no-head` that names the outputs
 */
export function findDetectorHead(net: NetParameter, graph: Graph): DetectorHead {
  const layers = net.layer ?? [];
  const last = layers.findLast(({ type }) => type === 'DetectionOutput' || isYolo(type));
  if (last !== undefined)
    return isYolo(last.type)
      ? yoloHead(last)
      : last.bottom!.length === 1
        ? centredHead(last)
        : { ...ssdHead(last), ...yxOrder(layers) };
  const outputs = graph.outputs.map((id) => graph.values[id]!.blob);
  const decoding = layers.findLast(({ type, top }) => type === 'DecodeBBox' && outputs.includes(top![0]!));
  if (decoding !== undefined) return cascadeHead(layers, decoding, graph);
  const proposing = layers.findLast(({ type }) => type === 'BoxOutput' || type === 'BoxGroupOutput');
  if (proposing !== undefined) return msCnnHead(layers, proposing, graph);
  const pooling = layers.findLast(({ type }) => POOLING.includes(type ?? ''));
  if (pooling !== undefined) return regionHead(layers, pooling, graph);
  throw noHead(layers, graph, '');
}

function ssdHead({ name = '', top, bottom, detection_output_param: param }: LayerParameter): SsdHead {
  const { num_classes: classes = 0, background_label_id: background = 0 } = (param ?? {}) as {
    num_classes?: number;
    background_label_id?: number;
  };
  const { no_permute: isApart = false, nbottom: maps = 6 } = (param ?? {}) as {
    no_permute?: boolean;
    nbottom?: number;
  };
  return {
    kind: 'ssd',
    layer: name,
    classes,
    background: background < 0 ? null : background,
    detections: top![0]!,
    scores: isApart ? bottom!.slice(0, maps) : [bottom![1]!],
  };
}

const yxOrder = (layers: readonly LayerParameter[]): Pick<SsdHead, 'form'> =>
  layers.some(({ prior_box_param: param }) => (param as { yx_order?: boolean } | undefined)?.yx_order)
    ? { form: 'yx' }
    : {};

/** YOLO's output layers, with the names of their parameters. */
const YOLO = {
  YoloDetectionOutput: 'yolo_detection_output_param',
  Yolov3DetectionOutput: 'yolov3_detection_output_param',
} as const;
const isYolo = (type = '') => Object.hasOwn(YOLO, type);
/** The name of a YOLO layer's parameters. */
export const yoloField = (type = '') => YOLO[type as keyof typeof YOLO];

/** YOLO's DetectionOutput of one bottom, whose rows count classes from 0. */
function centredHead({ name = '', top, bottom, detection_output_param: param }: LayerParameter): SsdHead {
  const { classes, num_classes = 20 } = (param ?? {}) as { classes?: number; num_classes?: number };
  return {
    kind: 'ssd',
    layer: name,
    classes: classes ?? num_classes,
    background: null,
    detections: top![0]!,
    scores: [bottom![0]!],
    form: 'centred',
  };
}

/** Its rows count classes from 1. */
function yoloHead(layer: LayerParameter): SsdHead {
  const { name = '', top, bottom } = layer;
  const { num_classes: classes = 20 } = (layer[yoloField(layer.type)] ?? {}) as { num_classes?: number };
  return {
    kind: 'ssd',
    layer: name,
    classes: classes + 1,
    background: 0,
    detections: top![0]!,
    scores: [...new Set(bottom)],
  };
}

function regionHead(layers: readonly LayerParameter[], pooling: LayerParameter, graph: Graph): RegionHead {
  const regions = pooling.bottom![1]!;
  if (!layers.some(({ type, top }) => type !== 'Input' && top?.includes(regions)))
    throw noHead(
      layers,
      graph,
      `its regions "${regions}" are an input, but a region proposal must compute them; `,
    );
  const [rows] = shapeOf(graph, regions) as [number];
  const outputs = graph.outputs.map((id) => graph.values[id]!);
  const ofRegions = outputs.filter(({ blob, shape }) => shape[0] === rows && blob !== regions);
  const probabilities = ofRegions.find(({ blob }) => makerOf(layers, blob)?.type === 'Softmax');
  const classes = probabilities === undefined ? 0 : elementCount(probabilities.shape.slice(1));
  const sets = (shape: readonly number[]) => elementCount(shape.slice(1)) / 4;
  const regressions = ofRegions.find(
    ({ blob, shape }) => blob !== probabilities?.blob && [1, 2, classes].includes(sets(shape)),
  );
  const inputs = graph.inputs.map((id) => graph.values[id]!);
  const imageInfo = inputs.find(({ shape }) => elementCount(shape) === 3);
  if (probabilities === undefined || regressions === undefined || imageInfo === undefined)
    throw noHead(
      layers,
      graph,
      `of its ${rows} regions "${regions}" it has no ${
        probabilities === undefined
          ? `Softmax ${rows}×classes`
          : regressions === undefined
            ? `regressions ${rows}×4, ${rows}×8 or ${rows}×${4 * classes}`
            : 'input of height, width and scale, 1×3'
      }; `,
    );
  return {
    kind: 'regions',
    classes,
    background: 0,
    regions,
    probabilities: probabilities.blob,
    regressions: regressions.blob,
    sets: sets(regressions.shape),
    imageInfo: imageInfo.blob,
  };
}

/** Chooses the last of several stages' probabilities; this is their mean if the net computes one. */
function cascadeHead(layers: readonly LayerParameter[], decoding: LayerParameter, graph: Graph): CascadeHead {
  const boxes = decoding.top![0]!;
  const [rows] = shapeOf(graph, boxes) as [number];
  const probabilities = graph.outputs
    .filter((id) => {
      const { blob, shape } = graph.values[id]!;
      const type = makerOf(layers, blob)?.type;
      return shape[0] === rows && (type === 'Softmax' || type === 'Eltwise') && elementCount(shape) > rows;
    })
    .sort((a, b) => a - b)
    .map((id) => graph.values[id]!)
    .at(-1);
  if (probabilities === undefined)
    throw noHead(layers, graph, `of the ${rows} boxes "${boxes}" it has no Softmax ${rows}×classes; `);
  return {
    kind: 'cascade',
    classes: elementCount(probabilities.shape.slice(1)),
    background: 0,
    boxes,
    probabilities: probabilities.blob,
  };
}

function msCnnHead(layers: readonly LayerParameter[], { top = [] }: LayerParameter, graph: Graph): MsCnnHead {
  const regions = top.at(-1)!;
  const [rows] = shapeOf(graph, regions) as [number];
  const ofRegions = graph.outputs
    .map((id) => graph.values[id]!)
    .filter(({ blob, shape }) => shape[0] === rows && !top.includes(blob));
  const count = ({ shape }: { readonly shape: readonly number[] }) => elementCount(shape.slice(1));
  const regressions = ofRegions.find((each) => ofRegions.some((other) => count(each) === 4 * count(other)));
  const scores = ofRegions.find(
    (each) => regressions !== undefined && 4 * count(each) === count(regressions),
  );
  if (regressions === undefined || scores === undefined || count(scores) < 2)
    throw noHead(
      layers,
      graph,
      `of its ${rows} regions "${regions}" it has no scores ${rows}×classes with regressions of four values per class; `,
    );
  return {
    kind: 'mscnn',
    classes: count(scores),
    background: 0,
    regions,
    scores: scores.blob,
    isProbability: makerOf(layers, scores.blob)?.type === 'Softmax',
    regressions: regressions.blob,
  };
}

const shapeOf = (graph: Graph, blob: string): readonly number[] =>
  graph.values[graph.blobs.get(blob)!]!.shape;

function noHead(layers: readonly LayerParameter[], graph: Graph, why: string): GraphError {
  return new GraphError(
    'detector/no-head',
    {},
    `expected a detector, a deploy net that ends in SSD's DetectionOutput, in YOLO's or in the class probabilities and box regressions of regions (Faster R-CNN, R-FCN, MS-CNN, Cascade R-CNN): ${why}its outputs are ${describeOutputs(layers, graph)}`,
  );
}
