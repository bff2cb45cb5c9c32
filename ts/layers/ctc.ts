/**
 * Connectionist temporal classification (Graves et al. 2006): a loss over all ways to write a text into a sequence with
 * blanks at any position, and the decoding of a sequence to a text. CtcLoss and LabelsequenceAccuracy of crnn.caffe
 * (github.com/yalecyu/crnn.caffe, also in DeepDetect's fork), WarpCTCLoss and CTCGreedyDecoder of caffe_ocr
 * (github.com/senlinuc/caffe_ocr). The host computes them.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildJavaScript } from './host-function.ts';
import { buildHostLoss } from './host-loss.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const ctcLayers: Layers = {
  CtcLoss: { build: ctcLoss, bottoms: [2, 2], isLoss: true },
  WarpCTCLoss: { build: warpCtcLoss, bottoms: [2, 2], isLoss: true },
  LabelsequenceAccuracy: { build: sequenceAccuracy, bottoms: [2, 2] },
  CTCGreedyDecoder: { build: greedyDecoder, bottoms: [1, 2] },
};

/** Scores of T steps, N items and C classes. */
function scoresOf(context: LayerContext): readonly [steps: number, items: number, classes: number] {
  const scores = context.shapes[0]!;
  const [steps = 0, items = 0, classes = 0, ...more] = scores;
  if (scores.length < 3 || more.some((size) => size !== 1))
    context.fail('shape', `the scores must be T×N×C, found ${showShape(scores)}`);
  return [steps, items, classes];
}

/** The same, and N×L labels. */
function sizesOf(context: LayerContext): {
  readonly steps: number;
  readonly items: number;
  readonly classes: number;
  readonly length: number;
} {
  const [steps, items, classes] = scoresOf(context);
  const labels = context.shapes[1]!;
  const [rows, ...length] = labels;
  if (rows !== items)
    context.fail('shape', `the labels must be N×L, here ${items}×L, found ${showShape(labels)}`);
  return { steps, items, classes, length: elementCount(length) };
}

function checkBlank(
  context: LayerContext,
  blank: number,
  classes: number,
  at: Parameters<LayerContext['fail']>[2],
): void {
  if (blank < 0 || blank >= classes)
    context.fail('shape', `the blank is class ${blank}, but the classes are 0 to ${classes - 1}`, at);
}

/** ctc_loss_layer.cpp: the mean over the items. Its diff is that of their sum. */
function ctcLoss(context: LayerContext): Built {
  const p = withDefaults<{ alphabet_size: number; time_step: number; blank_label: number }>(
    'CTCLossParameter',
    context.layer.ctc_loss_param,
  );
  const sizes = sizesOf(context);
  const at = (field: string) => positionOf(context.layer.ctc_loss_param, field) ?? 'ctc_loss_param';
  if (p.alphabet_size !== sizes.classes)
    context.fail(
      'shape',
      `alphabet_size is ${p.alphabet_size}, the scores have ${sizes.classes} classes (${showShape(context.shapes[0]!)}); give as many, including the blank`,
      at('alphabet_size'),
    );
  if (p.time_step < 1 || p.time_step > sizes.steps)
    context.fail(
      'shape',
      `time_step is ${p.time_step}, the scores have ${sizes.steps} steps (${showShape(context.shapes[0]!)}); give from 1 to ${sizes.steps}`,
      at('time_step'),
    );
  return loss(context, sizes, p.time_step, p.blank_label, at('blank_label'));
}

/** warp_ctc_loss_layer.cpp, with the labels of each item in a row. Its diff is also that of the items' sum. */
function warpCtcLoss(context: LayerContext): Built {
  const p = withDefaults<{ blank_index: number }>('CTCLossParameter', context.layer.ctc_loss_param);
  const sizes = sizesOf(context);
  const at = positionOf(context.layer.ctc_loss_param, 'blank_index') ?? 'ctc_loss_param';
  return loss(context, sizes, sizes.steps, p.blank_index, at);
}

function loss(
  context: LayerContext,
  { items, classes, length }: ReturnType<typeof sizesOf>,
  steps: number,
  blank: number,
  at: Parameters<LayerContext['fail']>[2],
): Built {
  checkBlank(context, blank, classes, at);
  return buildHostLoss(context, [], 1, ([scores, labels]) => {
    const diff = new Float32Array(scores!.data.length);
    let sum = 0;
    for (let item = 0; item < items; item++) {
      const text = Array.from(labels!.data.subarray(item * length, (item + 1) * length), Math.trunc);
      for (const [i, label] of text.entries())
        if (!(label >= 0 && label < classes))
          throw new Error(
            `label ${i} of item ${item} is ${label}; expected a class from 0 to ${classes - 1}, and the blank, ${blank}, after the last`,
          );
      const row = (t: number) => (t * items + item) * classes;
      sum += addItem(
        scores!.data,
        diff,
        Array.from({ length: steps }, (_, t) => row(t)),
        classes,
        text.filter((label) => label !== blank),
        blank,
      );
    }
    return { loss: [sum / items], diffs: [diff] };
  });
}

const addLogs = (a: number, b: number): number => {
  const [small, large] = a < b ? [a, b] : [b, a];
  return small === Number.NEGATIVE_INFINITY ? large : large + Math.log1p(Math.exp(small - large));
};

/**
 * −log of the probability of a text. Its diff is the softmax minus the share of each class in all ways to write the text.
 * Both are 0 if the sequence is too short for the text, as in warp-ctc.
 * @param rows The positions at which each step's scores begin.
 */
function addItem(
  scores: Float32Array,
  diff: Float32Array,
  rows: readonly number[],
  classes: number,
  text: readonly number[],
  blank: number,
): number {
  const repeats = text.filter((label, i) => label === text[i - 1]).length;
  if (text.length + repeats > rows.length) return 0;
  const logs = rows.map((row) => logSoftmax(scores.subarray(row, row + classes)));
  // The text with a blank before and after each of its classes.
  const states = Array.from({ length: 2 * text.length + 1 }, (_, s) =>
    s % 2 === 0 ? blank : text[(s - 1) / 2]!,
  );
  const skips = states.map((state, s) => state !== blank && s > 1 && state !== states[s - 2]);
  const start = states.map((_, s) => (s < 2 ? 0 : Number.NEGATIVE_INFINITY));
  const forward: number[][] = [];
  logs.forEach((log, t) => {
    const last = forward[t - 1];
    forward.push(
      states.map((state, s) => {
        let way = last === undefined ? start[s]! : last[s]!;
        if (last !== undefined && s > 0) way = addLogs(way, last[s - 1]!);
        if (last !== undefined && skips[s]) way = addLogs(way, last[s - 2]!);
        return way + log[state]!;
      }),
    );
  });
  const end = forward.at(-1)!;
  const total = states.length > 1 ? addLogs(end.at(-1)!, end.at(-2)!) : end[0]!;
  // The probability after each state, without the state's own score.
  let backward = states.map((_, s) => (s >= states.length - 2 ? 0 : Number.NEGATIVE_INFINITY));
  for (let t = rows.length - 1; t >= 0; t--) {
    const log = logs[t]!;
    const shares = new Float64Array(classes);
    states.forEach((state, s) => {
      shares[state]! += Math.exp(forward[t]![s]! + backward[s]! - total);
    });
    for (let c = 0; c < classes; c++) diff[rows[t]! + c] = Math.exp(log[c]!) - shares[c]!;
    const next = states.map((state, s) => backward[s]! + log[state]!);
    backward = states.map((_, s) => {
      let way = next[s]!;
      if (s + 1 < states.length) way = addLogs(way, next[s + 1]!);
      if (s + 2 < states.length && skips[s + 2]) way = addLogs(way, next[s + 2]!);
      return way;
    });
  }
  return -total;
}

function logSoftmax(scores: Float32Array): number[] {
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  const log = largest + Math.log(sum);
  return Array.from(scores, (score) => score - log);
}

/**
 * The class with the largest score at each step, the first of equal ones. With `merges`, repeated classes count once. Blanks
 * are omitted.
 */
function readText(
  scores: Float32Array,
  rows: readonly number[],
  classes: number,
  blank: number,
  merges: boolean,
): number[] {
  const best = rows.map((row) => {
    const step = scores.subarray(row, row + classes);
    return step.reduce((found, score, c) => (score > step[found]! ? c : found), 0);
  });
  return best.filter((c, t) => c !== blank && !(merges && c === best[t - 1]));
}

/** labelsequence_accuracy_layer.cpp: the share of N×T×C scores that decode to the labels. */
function sequenceAccuracy(context: LayerContext): Built {
  const p = withDefaults<{ blank_label: number }>(
    'LabelsequenceAccuracyParameter',
    context.layer.labelsequence_accuracy_param,
  );
  const [scores, labels] = context.shapes as [Shape, Shape];
  const [items = 0, steps = 0, classes = 0] = scores;
  if (scores.length !== 3 || labels.length < 2 || labels[0] !== items)
    context.fail(
      'shape',
      `takes scores N×T×C and labels N×L, found ${showShape(scores)} and ${showShape(labels)}`,
    );
  const blank = p.blank_label;
  const at = positionOf(context.layer.labelsequence_accuracy_param, 'blank_label');
  checkBlank(context, blank, classes, at ?? 'labelsequence_accuracy_param');
  const length = elementCount(labels.slice(1));
  const layer: JavaScriptLayer = {
    shapes: () => [[]],
    forward: ([of, texts]) => {
      const right = Array.from({ length: items }, (_, item) => {
        const rows = Array.from({ length: steps }, (_, t) => (item * steps + t) * classes);
        const text = readText(of!.data, rows, classes, blank, true);
        const label = [...texts!.data.subarray(item * length, (item + 1) * length)];
        return text.join() === label.filter((each) => each !== blank).join();
      });
      return [Float32Array.of(right.filter(Boolean).length / items)];
    },
  };
  return buildJavaScript(layer, context);
}

/**
 * ctc_decoder_layer.cpp: N×T classes from T×N×C scores, followed by −1. A sequence ends where the second bottom T×N, which
 * marks continuations, has a 0. With labels, N×L, the tops are instead the accuracy of the classes and of the texts.
 */
function greedyDecoder(context: LayerContext): Built {
  const p = withDefaults<{ blank_index: number; ctc_merge_repeated: boolean }>(
    'CTCDecoderParameter',
    context.layer.ctc_decoder_param,
  );
  const [steps, items, classes] = scoresOf(context);
  const second = context.shapes[1];
  const goesOn = second !== undefined && second[0] === steps && second[1] === items;
  if (second !== undefined && !goesOn && second[0] !== items)
    context.fail(
      'shape',
      `the second bottom must be ${steps}×${items}, which marks where sequences continue, or labels ${items}×L, found ${showShape(second)}`,
    );
  const isJudged = second !== undefined && !goesOn;
  const blank = p.blank_index < 0 ? classes - 1 : p.blank_index;
  if (blank >= classes)
    context.fail(
      'shape',
      `the blank is class ${blank}, but the classes are 0 to ${classes - 1}; -1 is the last one`,
      positionOf(context.layer.ctc_decoder_param, 'blank_index'),
    );
  const length = isJudged ? elementCount(second.slice(1)) : 0;
  const top = isJudged ? [1, 2, 1, 1] : [items, steps, 1, 1];
  const layer: JavaScriptLayer = {
    shapes: () => [top],
    forward: ([of, other]) => {
      const texts = Array.from({ length: items }, (_, item) => {
        const end = Array.from({ length: steps }, (_, t) => t).find(
          (t) => t > 0 && goesOn && other!.data[t * items + item] === 0,
        );
        const rows = Array.from({ length: end ?? steps }, (_, t) => (t * items + item) * classes);
        return readText(of!.data, rows, classes, blank, p.ctc_merge_repeated);
      });
      if (isJudged)
        return [accuracies(texts, (n) => other!.data.subarray(n * length, (n + 1) * length), blank)];
      const made = new Float32Array(items * steps).fill(-1);
      texts.forEach((text, item) => made.set(text, item * steps));
      return [made];
    },
  };
  return buildJavaScript(layer, context);
}

/** 1 minus the mean edit distance relative to the label, and the share of texts without any edit. */
function accuracies(
  texts: readonly (readonly number[])[],
  labelOf: (item: number) => Float32Array,
  blank: number,
): Float32Array {
  let far = 0;
  let right = 0;
  texts.forEach((text, item) => {
    const row = [...labelOf(item)];
    const end = row.findIndex((each) => each < 0);
    const label = row
      .slice(0, end < 0 ? row.length : end)
      .map(Math.round)
      .filter((each) => each !== blank);
    const longer = Math.max(text.length, label.length);
    if (longer === 0) return;
    const edits = distance(text, label);
    far += edits / longer;
    if (edits === 0) right++;
  });
  return Float32Array.of(1 - far / texts.length, right / texts.length);
}

/** The number of insertions, deletions and replacements between two texts (Levenshtein 1966). */
function distance(a: readonly number[], b: readonly number[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  a.forEach((label, i) => {
    const next = [i + 1];
    b.forEach((other, j) => {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (label === other ? 0 : 1)));
    });
    row = next;
  });
  return row.at(-1)!;
}
