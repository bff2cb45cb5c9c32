/**
 * EvalDetection of Intel's fork (github.com/intel/caffe, eval_detection_layer.cpp) compares the boxes of a map of YOLO v2
 * with ground truth. The row of each image has the number of true boxes of each class, then class, score, right and wrong
 * for each found box. A box of a present class that does not overlap any true box enough is neither. Rows are filled with
 * zeros.
 */
import { sigmoid } from '../base/numbers.ts';
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { decodedBox, type Size, sizesOfBoxes } from './yolo-boxes.ts';
import { type CentredBox, centredOverlap, truthLayout, truthsOf, type YoloTruth } from './yolo-truth.ts';

export const evalDetectionLayers: Layers = {
  // Nothing reads the third bottom, the images.
  EvalDetection: { build: evalDetection, bottoms: [2, 3] },
};

interface Parameters {
  readonly side: number;
  readonly num_class: number;
  readonly num_object: number;
  readonly threshold: number;
  readonly score_type: 'OBJ' | 'PROB' | 'MULTIPLY';
  readonly nms: number;
  readonly biases?: readonly number[];
}

interface Found {
  readonly label: number;
  readonly score: number;
  readonly box: CentredBox;
}

/** Boxes with a smaller confidence are ignored. */
const LEAST_SCORE = 0.005;

function evalDetection(context: LayerContext): Built {
  const param = context.layer.eval_detection_param;
  const p = withDefaults<Parameters>('EvalDetectionParameter', param);
  const { side, num_class: classes, num_object: boxes, biases = [] } = p;
  const refuse = (field: string, text: string) =>
    context.fail('yolo', text, positionOf(param, field) ?? positionOf(param));
  if (boxes !== 5)
    refuse('num_object', `num_object must be 5, because the fork reads five boxes; found ${boxes}`);
  const sizes = sizesOfBoxes(boxes, biases, [side, side], refuse);
  const [map, label] = context.shapes;
  const expected = [map![0]!, boxes * (5 + classes), side, side];
  if (classes < 1 || showShape(map!) !== showShape(expected))
    context.fail(
      'yolo',
      `${boxes} boxes of ${classes} classes on side: ${side} take a first bottom of ${showShape(expected)}, found ${showShape(map!)}`,
    );
  const images = map![0]!;
  const layout = truthLayout(context, images, label!);
  const width = classes + side * side * boxes * 4;
  const layer: JavaScriptLayer = {
    shapes: () => [[images, width]],
    forward: ([output, labels]) => {
      const truths = truthsOf(labels!.data, layout, images, classes);
      const result = new Float32Array(images * width);
      for (let image = 0; image < images; image++) {
        const row = result.subarray(image * width, (image + 1) * width);
        for (const { label: of } of truths[image]!) row[of]!++;
        const own = output!.data.subarray(
          image * (output!.data.length / images),
          (image + 1) * (output!.data.length / images),
        );
        const found = suppressed(boxesOf(own, side, sizes, p), p.nms);
        matchedTruths(found, truths[image]!, p.threshold).forEach((each, i) => {
          row.set(each, classes + 4 * i);
        });
      }
      return [result];
    },
  };
  return buildJavaScript(layer, context);
}

function boxesOf(
  data: Float32Array,
  side: number,
  sizes: readonly Size[],
  { num_class: classes, score_type }: Parameters,
): Found[] {
  const area = side * side;
  const found: Found[] = [];
  for (let cell = 0; cell < area; cell++)
    sizes.forEach((size, kind) => {
      const value = (k: number) => data[(kind * (5 + classes) + k) * area + cell]!;
      const scores = Array.from({ length: classes }, (_, k) => value(5 + k));
      const most = Math.max(...scores);
      const label = scores.indexOf(most);
      const share = 1 / scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
      const object = sigmoid(value(4));
      const box = decodedBox(value, cell, [side, side], size);
      const score = { OBJ: object, PROB: share, MULTIPLY: object * share }[score_type];
      found.push({ label, score: Math.fround(score), box });
    });
  return found;
}

/**
 * The boxes by class and descending score that no better box of any class overlaps by the threshold. With a threshold below
 * 0 the fork finds none.
 */
function suppressed(boxes: readonly Found[], threshold: number): Found[] {
  if (threshold < 0) return [];
  const kept: Found[] = [];
  for (const each of boxes.toSorted((a, b) => b.score - a.score))
    if (kept.every(({ box }) => !(centredOverlap(box, each.box) >= Math.fround(threshold)))) kept.push(each);
  return kept.filter(({ score }) => score >= LEAST_SCORE).sort((a, b) => a.label - b.label);
}

/** Class, score, right and wrong of each box. A true box can be found once. */
function matchedTruths(found: readonly Found[], truths: readonly YoloTruth[], threshold: number): number[][] {
  const taken = new Set<YoloTruth>();
  return found.map(({ label, score, box }) => {
    const own = truths.filter((truth) => truth.label === label);
    if (own.length === 0) return [label, score, 0, 1];
    const overlaps = own.map((truth) => centredOverlap(box, truth.box));
    const most = Math.max(...overlaps);
    const truth = own[overlaps.indexOf(most)]!;
    if (!(most >= Math.fround(threshold))) return [label, score, 0, 0];
    const isRight = !taken.has(truth);
    taken.add(truth);
    return [label, score, isRight ? 1 : 0, isRight ? 0 : 1];
  });
}
