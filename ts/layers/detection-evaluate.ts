/**
 * DetectionEvaluate compares found boxes with ground truth (detection_evaluate_layer.cpp of SSD, github.com/weiliu89/caffe,
 * branch ssd, with two bottoms; of Cascade R-CNN, github.com/zhaoweicai/cascade-rcnn, with three, whose boxes are in
 * pixels). It runs on the host, as there. Its rows are [−1, class, number of true boxes, −1, −1] for each class, then
 * [image, class, score, right, wrong] for each found box. A match with a difficult box that does not count is neither right
 * nor wrong.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import { overlapOf } from './overlap.ts';
import { overlapOfCorners } from './suppression.ts';

export const detectionEvaluateLayers: Layers = {
  DetectionEvaluate: { build: detectionEvaluate, bottoms: [2, 3] },
};

interface Parameters {
  readonly num_classes?: number;
  readonly background_label_id: number;
  readonly overlap_threshold: number;
  readonly evaluate_difficult_gt: boolean;
  readonly name_size_file?: string;
  readonly resize_param?: object;
}

type Box = readonly [x1: number, y1: number, x2: number, y2: number];

interface Found {
  readonly score: number;
  readonly box: Box;
}

interface Truth {
  readonly box: Box;
  readonly isDifficult: boolean;
}

/** [height, width] of an image. */
type Size = readonly [number, number];

/** The number of values per row of found boxes, true boxes, and results. */
const [FOUND, TRUTH, ROW] = [7, 8, 5] as const;

/** The position of the fields after the image's number. The last field of true boxes marks difficult ones. */
interface Layout {
  readonly label: number;
  readonly score: number;
  readonly box: number;
}

const SSD: Layout = { label: 1, score: 2, box: 3 };
const CASCADE: Layout = { label: 5, score: 6, box: 1 };

/** The comparison rule for the boxes of an image. */
interface Comparing {
  readonly inPixels: (box: Box) => Box;
  readonly overlap: (a: Box, b: Box) => number;
}

function detectionEvaluate(context: LayerContext): Built {
  const param = context.layer.detection_evaluate_param;
  const p = withDefaults<Parameters>('DetectionEvaluateParameter', param);
  const { num_classes: classes = 0, background_label_id: background } = p;
  const fail = (text: string, at = 'num_classes') =>
    context.fail('detection-output', text, positionOf(param, at) ?? 'detection_evaluate_param');
  if (classes < 1) fail('num_classes must be given and at least 1');
  const resizing = withDefaults<{ resize_mode: string }>('ResizeParameter', p.resize_param);
  if (resizing.resize_mode !== 'WARP')
    fail(
      `resize_param is supported only with resize_mode WARP, found ${resizing.resize_mode}`,
      'resize_param',
    );
  const isCascade = context.shapes.length === 3;
  if (isCascade) checkCascade(context, p, fail);
  else checkSsd(context);
  const most = elementCount(context.shapes[0]!) / FOUND;
  const labels = classes - (background >= 0 && background < classes ? 1 : 0);
  const top = isCascade ? [labels + most, ROW, 1, 1] : [1, 1, labels + most, ROW];
  checkTop(context, top, positionOf(param, 'num_classes'));
  const sizes = sizesOf(context, p.name_size_file);
  const layer: JavaScriptLayer = {
    shapes: () => [top],
    forward: ([found, truth, images]) => {
      const rows = new Float32Array(elementCount(top)).fill(-1);
      const check = (label: number) => {
        if (label === background)
          throw new Error(
            `a box is of class ${label}, which is background_label_id; ${isCascade ? 'Cascade R-CNN' : 'SSD'} accepts no such boxes`,
          );
      };
      const truths = truthsOf(truth!.data, isCascade ? CASCADE : SSD, check);
      let row = 0;
      for (let label = 0; label < classes; label++) {
        if (label === background) continue;
        const counted = [...truths.values()].flatMap((each) => each.get(label) ?? []);
        const positives = counted.filter(({ isDifficult }) => p.evaluate_difficult_gt || !isDifficult).length;
        rows.set([-1, label, positives, -1, -1], ROW * row++);
      }
      for (const [image, byLabel] of foundOf(found!.data, isCascade ? CASCADE : SSD, check)) {
        const size = sizes();
        const compare = isCascade ? inCascade(size!, images!.data, image) : inSsd(size);
        for (const [label, boxes] of byLabel)
          for (const { score, right, wrong } of matchedTruths(
            boxes,
            truths.get(image)?.get(label),
            p,
            compare,
          ))
            rows.set([image, label, score, right, wrong], ROW * row++);
      }
      return [rows];
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0 };
}

function checkSsd(context: LayerContext): void {
  context.shapes.forEach((shape, i) => {
    if (shape.length !== 4 || shape[0] !== 1 || shape[1] !== 1 || shape[3] !== [FOUND, TRUTH][i])
      context.fail(
        'shape',
        `bottom ${i} must be ${i === 0 ? 'the boxes of a DetectionOutput, 1×1×K×7' : 'the label of an AnnotatedData, 1×1×K×8'}, found ${showShape(shape)}`,
      );
  });
}

function checkCascade(
  context: LayerContext,
  p: Parameters,
  fail: (text: string, at?: string) => never,
): void {
  const rows = [FOUND, TRUTH, 2];
  if (context.shapes.some((shape, i) => elementCount(shape) !== (shape[0] ?? 0) * rows[i]!))
    context.fail(
      'shape',
      `takes the boxes of a FrcnnOutput, K×7, those of ground truth, G×8, and the height and width of each image, N×2; found ${context.shapes.map(showShape).join(', ')}`,
    );
  if (p.name_size_file === undefined)
    fail(
      'name_size_file must be given, with a line "name height width" for the original size of each image',
      'name_size_file',
    );
}

/** By class and image, both ascending, as in C++'s maps. */
type ByImage<T> = Map<number, Map<number, T[]>>;

function add<T>(to: ByImage<T>, image: number, label: number, box: T): void {
  const byLabel = to.get(image) ?? new Map<number, T[]>();
  if (!byLabel.has(label)) byLabel.set(label, []);
  byLabel.get(label)!.push(box);
  to.set(image, byLabel);
}

const ascending = <T>(map: ReadonlyMap<number, T>): Map<number, T> =>
  new Map([...map].sort(([a], [b]) => a - b));

const boxAt = (data: Float32Array, at: number): Box => [
  data[at]!,
  data[at + 1]!,
  data[at + 2]!,
  data[at + 3]!,
];

function foundOf(data: Float32Array, layout: Layout, check: (label: number) => void): ByImage<Found> {
  const found: ByImage<Found> = new Map();
  for (let at = 0; at < data.length; at += FOUND) {
    const [image, label] = [Math.trunc(data[at]!), Math.trunc(data[at + layout.label]!)];
    // An image of Cascade R-CNN without detections has a row too, which uses up one of the sizes.
    if (image !== -1 && layout === CASCADE && !found.has(image)) found.set(image, new Map());
    if (image === -1 || label === -1) continue;
    check(label);
    add(found, image, label, { score: data[at + layout.score]!, box: boxAt(data, at + layout.box) });
  }
  return ascending(new Map([...found].map(([image, byLabel]) => [image, ascending(byLabel)])));
}

function truthsOf(data: Float32Array, layout: Layout, check: (label: number) => void): ByImage<Truth> {
  const truths: ByImage<Truth> = new Map();
  for (let at = 0; at < data.length; at += TRUTH) {
    const [image, label] = [Math.trunc(data[at]!), Math.trunc(data[at + layout.label]!)];
    if (image === -1 && layout === SSD) break;
    if (image === -1) continue;
    check(label);
    add(truths, image, label, { box: boxAt(data, at + layout.box), isDifficult: data[at + 7] !== 0 });
  }
  return truths;
}

/** Each found box, the best score first if there are true ones. A true box can be found once. */
function matchedTruths(
  boxes: readonly Found[],
  truths: readonly Truth[] | undefined,
  { overlap_threshold: threshold, evaluate_difficult_gt: usesDifficult }: Parameters,
  { inPixels, overlap }: Comparing,
): { score: number; right: number; wrong: number }[] {
  if (truths === undefined) return boxes.map(({ score }) => ({ score, right: 0, wrong: 1 }));
  const placed = truths.map(({ box }) => inPixels(box));
  const isTaken = truths.map(() => false);
  return boxes
    .toSorted((a, b) => b.score - a.score)
    .map(({ score, box }) => {
      const overlaps = placed.map((truth) => overlap(inPixels(box), truth));
      const best = overlaps.reduce((at, each, i) => (each > overlaps[at]! ? i : at), 0);
      if (!(overlaps[best]! >= threshold)) return { score, right: 0, wrong: 1 };
      if (!usesDifficult && truths[best]!.isDifficult) return { score, right: 0, wrong: 0 };
      const right = isTaken[best] ? 0 : 1;
      isTaken[best] = true;
      return { score, right, wrong: 1 - right };
    });
}

const inSsd = (size: Size | null): Comparing => ({
  inPixels: (box) => pixels(box, size),
  overlap: (a, b) => overlap(a, b, size === null ? 0 : 1),
});

/** In the size of the image before resizing. */
function inCascade([height, width]: Size, sizes: Float32Array, image: number): Comparing {
  if (2 * image + 1 >= sizes.length)
    throw new Error(
      `a box belongs to image ${image}, but there are sizes of only ${sizes.length / 2} images`,
    );
  const [tall, wide] = [height / sizes[2 * image]!, width / sizes[2 * image + 1]!];
  return {
    inPixels: ([x1, y1, x2, y2]) => [x1 * wide, y1 * tall, x2 * wide, y2 * tall],
    overlap: (a, b) => overlapOfCorners(a, b, 1),
  };
}

/** OutputBBox of bbox_util.cpp: clipped to the image, in its pixels. */
function pixels(box: Box, size: Size | null): Box {
  if (size === null) return box;
  const [x1, y1, x2, y2] = box.map((side) => Math.min(Math.max(side, 0), 1)) as unknown as Box;
  const [height, width] = size;
  return [x1 * width, y1 * height, x2 * width, y2 * height];
}

/**
 * JaccardOverlap of bbox_util.cpp: boxes that overlap by less than a pixel have no overlap, regardless of the definition of
 * a length.
 */
function overlap(a: Box, b: Box, more: 0 | 1): number {
  const isApart = b[0] > a[2] || b[2] < a[0] || b[1] > a[3] || b[3] < a[1];
  return isApart ? 0 : overlapOf(a, b, more);
}

/** The sizes of the images in order, from a file of "name height width", which is read on demand. */
function sizesOf(context: LayerContext, name: string | undefined): () => Size | null {
  if (name === undefined) return () => null;
  const net = positionOf(context.layer)?.file ?? '';
  let sizes: Size[] | null = null;
  let next = 0;
  return () => {
    sizes ??= readSizes([name, join(dirname(net), name)].find(existsSync) ?? name);
    const size = sizes[next]!;
    next = (next + 1) % sizes.length;
    return size;
  };
}

function readSizes(file: string): Size[] {
  const lines = readFileSync(file, 'utf8').split(/\r?\n/);
  const sizes = lines.flatMap((line, i): Size[] => {
    if (line.trim() === '') return [];
    const [height, width] = line.trim().split(/\s+/).slice(-2).map(Number) as [number?, number?];
    if (height !== undefined && width !== undefined && height >= 1 && width >= 1) return [[height, width]];
    throw new Error(`${file}:${i + 1}: expected a name, a height and a width, found "${line.slice(0, 80)}"`);
  });
  if (sizes.length === 0)
    throw new Error(`${file}: expected lines of a name, a height and a width, found none`);
  return sizes;
}
