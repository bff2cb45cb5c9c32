/**
 * YOLO's losses: RegionLoss of its second version (arXiv:1612.08242), and Yolov3 (arXiv:1804.02767). The diffs are
 * those that the forks pass down, and the loss is the sum of their squares; they are not its derivatives.
 *
 * Two layers are called RegionLoss, and their labels distinguish them (yolo-truth.ts): MobileNet-YOLO's
 * (github.com/eric612/MobileNet-YOLO, region_loss_layer.cpp) and that of Intel's fork (github.com/intel/caffe, the same
 * file). In the latter, regressions count as in a smooth L1 loss, objects are weighted by their uncertainty, and the
 * loss is not a mean over images. Yolov3 is MobileNet-YOLO's (yolov3_layer.cpp).
 */
import { sigmoid } from '../base/numbers.ts';
import { showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildHostLoss } from './host-loss.ts';
import type { JavaScriptBlob } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { decodedBox, type Size, sizesOf, sizesOfBoxes } from './yolo-boxes.ts';
import { type CentredBox, centredOverlap, truthLayout, truthsOf, type YoloTruth } from './yolo-truth.ts';

export const yoloLosses: Layers = {
  RegionLoss: { build: regionLoss, bottoms: [2, 2], isLoss: true },
  Yolov3: { build: yolov3, bottoms: [2, 2], isLoss: true },
};

/** The fields that both layers share. */
interface Parameters {
  readonly num_class: number;
  readonly num: number;
  readonly object_scale: number;
  readonly class_scale: number;
  readonly noobject_scale: number;
  readonly coord_scale: number;
  readonly thresh: number;
  readonly biases?: readonly number[];
}

/** The map of one image, with 5 + classes planes for each box, and its diffs. */
class CellMap {
  readonly rows: number;
  readonly columns: number;
  readonly classes: number;
  readonly #said: Float32Array;
  readonly #diffs: Float32Array;
  readonly #first: number;

  constructor({ shape, data }: JavaScriptBlob, diffs: Float32Array, image: number, classes: number) {
    const [, channels = 0, rows = 0, columns = 0] = shape;
    this.rows = rows;
    this.columns = columns;
    this.classes = classes;
    this.#said = data;
    this.#diffs = diffs;
    this.#first = image * channels * rows * columns;
  }

  #at(box: number, k: number, cell: number): number {
    return this.#first + (box * (5 + this.classes) + k) * this.rows * this.columns + cell;
  }

  value(box: number, k: number, cell: number): number {
    return this.#said[this.#at(box, k, cell)]!;
  }

  /** Its sigmoid. */
  sigmoid(box: number, k: number, cell: number): number {
    return sigmoid(this.value(box, k, cell));
  }

  diff(box: number, k: number, cell: number): number {
    return this.#diffs[this.#at(box, k, cell)]!;
  }

  set(box: number, k: number, cell: number, diff: number): void {
    this.#diffs[this.#at(box, k, cell)] = diff;
  }

  /** The box of a cell. Its prior size is relative to the image. */
  boxOf(box: number, cell: number, size: Size): CentredBox {
    return decodedBox((k) => this.value(box, k, cell), cell, [this.columns, this.rows], size);
  }

  /** The cell that contains a box's centre. */
  cellOf([x, y]: CentredBox): number {
    return Math.trunc(y * this.rows) * this.columns + Math.trunc(x * this.columns);
  }

  /** The target regressions of a cell: the centre within it, and the sides as logarithms. */
  targetOf([x, y, width, height]: CentredBox, cell: number, [wide, tall]: Size) {
    return [
      x * this.columns - (cell % this.columns),
      y * this.rows - Math.floor(cell / this.columns),
      Math.log(width / wide),
      Math.log(height / tall),
    ] as const;
  }
}

const refusal =
  (context: LayerContext, param: Message | undefined) =>
  (field: string, text: string): never =>
    context.fail('yolo', text, positionOf(param, field) ?? positionOf(param));

/** @returns The number of images */
function checkMap(context: LayerContext, p: Parameters, boxes: number): number {
  const [shape] = context.shapes;
  const channels = boxes * (5 + p.num_class);
  if (shape!.length !== 4 || shape![1] !== channels || p.num_class < 1 || boxes < 1)
    context.fail(
      'yolo',
      `${boxes} boxes of ${p.num_class} classes take a first bottom of N×${channels}×H×W (five values and the classes of each box), found ${showShape(shape!)}`,
    );
  return shape![0]!;
}

/** The loss's diffs for all images, and the sum of their squares. */
function summed(
  map: JavaScriptBlob,
  images: number,
  learn: (image: number, diffs: Float32Array) => void,
): { diffs: Float32Array; squares: number } {
  const diffs = new Float32Array(map.data.length);
  for (let image = 0; image < images; image++) learn(image, diffs);
  return { diffs, squares: diffs.reduce((sum, diff) => sum + diff * diff, 0) };
}

interface RegionParameters extends Parameters {
  readonly bias_match: number;
  readonly coords: number;
  readonly rescore: number;
  readonly softmax_tree?: string;
  readonly class_map?: string;
}

function regionLoss(context: LayerContext): Built {
  const param = context.layer.region_loss_param;
  const p = withDefaults<RegionParameters>('RegionLossParameter', param);
  const refuse = refusal(context, param);
  if (p.coords !== 4) refuse('coords', `coords must be 4, found ${p.coords}`);
  for (const field of ['softmax_tree', 'class_map'] as const)
    if ((p[field] ?? '') !== '')
      refuse(field, `${field}, a file that groups or renames classes, is not supported; remove it`);
  const images = checkMap(context, p, p.num);
  const [map, label] = context.shapes;
  if (map![2] !== map![3])
    context.fail('yolo', `its map must be square, as in the forks; found ${showShape(map!)}`);
  const side = map![3]!;
  const sides = sizesOfBoxes(p.num, p.biases ?? [], [side, side], refuse);
  const layout = truthLayout(context, images, label!);
  const isIntel = layout === 'corners';
  return buildHostLoss(context, [], 1, ([blob, labels]) => {
    const truths = truthsOf(labels!.data, layout, images, p.num_class);
    const { diffs, squares } = summed(blob!, images, (image, all) => {
      const own = new CellMap(blob!, all, image, p.num_class);
      learnAbsence(
        own,
        truths[image]!,
        sides,
        p.thresh,
        (share) => p.noobject_scale * share * share * (1 - share),
      );
      for (const truth of truths[image]!) learnRegion(own, truth, sides, p, isIntel);
    });
    return {
      loss: [isIntel ? squares : squares / images],
      diffs: [diffs.map((diff) => diff / images)],
    };
  });
}

/**
 * Boxes that no true box overlaps by more than the threshold should have objectness 0.
 * @param diffOf The diff of the objectness.
 */
function learnAbsence(
  map: CellMap,
  truths: readonly YoloTruth[],
  sides: readonly Size[],
  threshold: number,
  diffOf: (share: number) => number,
): void {
  sides.forEach((own, box) => {
    for (let cell = 0; cell < map.rows * map.columns; cell++) {
      const predicted = map.boxOf(box, cell, own);
      const most = truths.reduce((best, truth) => Math.max(best, centredOverlap(predicted, truth.box)), 0);
      map.set(box, 4, cell, most > Math.fround(threshold) ? 0 : diffOf(map.sigmoid(box, 4, cell)));
    }
  });
}

/** The box of the cell at a true box's centre that is most similar to it is trained towards it. */
function learnRegion(
  map: CellMap,
  { label, box: truth }: YoloTruth,
  sides: readonly Size[],
  p: RegionParameters,
  isIntel: boolean,
): void {
  const cell = map.cellOf(truth);
  const shifted: CentredBox = [0, 0, truth[2], truth[3]];
  const similarities = sides.map((own, box) => {
    const [, , width, height] = p.bias_match ? [0, 0, ...own] : map.boxOf(box, cell, own);
    return centredOverlap([0, 0, width, height] as CentredBox, shifted);
  });
  // If a map that has diverged has no similar box, the first one is trained, as in the forks, and the loss shows the
  // divergence.
  const box = similarities.reduce((best, like, i) => (like > similarities[best]! ? i : best), 0);
  const overlap = centredOverlap(map.boxOf(box, cell, sides[box]!), truth);
  const scale = p.coord_scale * (isIntel || p.rescore ? 1 : 2 - truth[2] * truth[3]);
  map.targetOf(truth, cell, sides[box]!).forEach((target, k) => {
    const found = k < 2 ? map.sigmoid(box, k, cell) : map.value(box, k, cell);
    const off = isIntel ? Math.min(1, Math.max(-1, target - found)) : target - found;
    map.set(box, k, cell, -scale * off * (k < 2 ? found * (1 - found) : 1));
  });
  const share = map.sigmoid(box, 4, cell);
  const change = isIntel ? 2 * (1 - share) ** 3 : (p.rescore ? overlap : 1) - share;
  map.set(box, 4, cell, -p.object_scale * change * share * (1 - share));
  const shares = softmaxOf(map, box, cell);
  shares.forEach((each, k) => {
    map.set(box, 5 + k, cell, -p.class_scale * ((k === label ? 1 : 0) - each));
  });
}

function softmaxOf(map: CellMap, box: number, cell: number): number[] {
  const scores = Array.from({ length: map.classes }, (_, k) => map.value(box, 5 + k, cell));
  const most = Math.max(...scores);
  const powers = scores.map((each) => Math.exp(each - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

interface Yolov3Parameters extends Parameters {
  readonly anchors_scale: number;
  readonly mask?: readonly number[];
  readonly use_logic_gradient: boolean;
  readonly use_focal_loss: boolean;
  readonly iou_loss: string;
  readonly iou_thresh: number;
  readonly label_smooth_eps: number;
}

function yolov3(context: LayerContext): Built {
  const param = context.layer.yolov3_param;
  const p = withDefaults<Yolov3Parameters>('Yolov3Parameter', param);
  const refuse = refusal(context, param);
  if (p.iou_loss !== 'MSE')
    refuse(
      'iou_loss',
      `iou_loss is supported only with MSE, the squared differences of boxes; found ${p.iou_loss}`,
    );
  const { biases = [], mask = [] } = p;
  if (mask.length < p.num) refuse('mask', `${p.num} boxes take as many mask, found ${mask.length}`);
  const images = checkMap(context, p, p.num);
  const own = mask.slice(0, p.num);
  const unknown = own.find((box) => 2 * box + 1 >= biases.length);
  if (unknown !== undefined)
    refuse('mask', `mask ${unknown} has no biases: there are ${biases.length}, two for each box`);
  if (p.anchors_scale < 1) refuse('anchors_scale', 'anchors_scale must be at least 1');
  const [, , rows = 1, columns = 1] = context.shapes[0]!;
  const layout = truthLayout(context, images, context.shapes[1]!);
  const sides = sizesOf(biases, columns * p.anchors_scale, rows * p.anchors_scale);
  return buildHostLoss(context, [], 1, ([blob, labels]) => {
    const truths = truthsOf(labels!.data, layout, images, p.num_class);
    const { diffs, squares } = summed(blob!, images, (image, all) => {
      const map = new CellMap(blob!, all, image, p.num_class);
      const ofMask = own.map((box) => sides[box]!);
      learnAbsence(map, truths[image]!, ofMask, p.thresh, (share) => share);
      for (const truth of truths[image]!)
        for (const box of matchedBoxes(truth.box, sides, own, p.iou_thresh))
          learnYolov3(map, truth, box, ofMask[box]!, p);
    });
    if (p.use_logic_gradient) scaleBySigmoids(blob!, diffs, p);
    return { loss: [squares / images], diffs: [diffs.map((diff) => diff / images)] };
  });
}

/**
 * The boxes of a cell that are trained towards a true box: the most similar one, if this map has it, and all that are very
 * similar.
 */
function matchedBoxes(
  [, , width, height]: CentredBox,
  sides: readonly Size[],
  mask: readonly number[],
  threshold: number,
): number[] {
  const overlaps = sides.map((own) => centredOverlap([0, 0, ...own], [0, 0, width, height]));
  const best = overlaps.indexOf(Math.max(...overlaps));
  const first = mask.indexOf(best);
  const others = mask.flatMap((box, i) => (overlaps[box]! > Math.fround(threshold) ? [{ box, i }] : []));
  // The fork compares the boxes' numbers, and omits the box whose number is the index of the first one in this map.
  const passed = first >= 0 ? first : best;
  const more = threshold < 1 ? others.filter(({ box }) => box !== passed).sort((a, b) => a.box - b.box) : [];
  return [...(first >= 0 ? [first] : []), ...more.map(({ i }) => i)];
}

function learnYolov3(
  map: CellMap,
  { label, box: truth }: YoloTruth,
  box: number,
  size: Size,
  p: Yolov3Parameters,
): void {
  const cell = map.cellOf(truth);
  const scale = p.coord_scale * (2 - truth[2] * truth[3]);
  map.targetOf(truth, cell, size).forEach((target, k) => {
    const found = k < 2 ? map.sigmoid(box, k, cell) : map.value(box, k, cell);
    map.set(box, k, cell, -scale * (target - found));
  });
  const object = p.use_logic_gradient ? p.object_scale : 1;
  map.set(box, 4, cell, -object * (1 - map.sigmoid(box, 4, cell)));
  const smooth = (expected: number) => expected * (1 - p.label_smooth_eps) + p.label_smooth_eps / 2;
  const off = (k: number, expected: number) => -p.class_scale * (expected - map.sigmoid(box, 5 + k, cell));
  // A box that already matched another true box is already trained towards that one's class.
  if (map.diff(box, 5 + label, cell) !== 0) {
    map.set(box, 5 + label, cell, off(label, smooth(1)));
    return;
  }
  const sure = map.sigmoid(box, 5 + label, cell) + 1e-15;
  // AlexeyAB's darknet: the focal loss of arXiv:1708.02002 with alpha 0.5 and gamma 2.
  const focal = 0.5 * -(1 - sure) * (2 * sure * Math.log(sure) + sure - 1);
  for (let k = 0; k < p.num_class; k++) {
    const expected = k === label ? 1 : 0;
    map.set(box, 5 + k, cell, p.use_focal_loss ? off(k, expected) * focal : off(k, smooth(expected)));
  }
}

/** The derivative of the sigmoids, for all values except width and height (use_logic_gradient). */
function scaleBySigmoids({ data, shape }: JavaScriptBlob, diffs: Float32Array, p: Yolov3Parameters): void {
  const area = shape[2]! * shape[3]!;
  for (const [i, value] of data.entries()) {
    const k = Math.floor(i / area) % (5 + p.num_class);
    if (k === 2 || k === 3) continue;
    const share = sigmoid(value);
    diffs[i]! *= share * (1 - share);
  }
}
