/**
 * Sequence layers of forks that read text: Transpose and Reverse (github.com/tianzhi0549/CTPN), Lstm
 * (github.com/junhyukoh/caffe-lstm), which needs no cont, and Convert (github.com/Yuliang-Liu/Curve-Text-Detector).
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import type { ParameterId } from './operation.ts';
import { checkSteps, continued, inner } from './recurrent.ts';

export const sequenceLayers: Layers = {
  Transpose: { build: transpose },
  Reverse: { build: reverse },
  Lstm: { build: lstm, bottoms: [1, 2] },
  Convert: { build: convert, tops: [2, 2] },
};

/** transpose_layer.cpp: lists every axis once. */
function transpose(context: LayerContext): Built {
  const { dim: order = [] } = (context.layer.transpose_param ?? {}) as { dim?: number[] };
  const shape = context.shapes[0]!;
  if (
    showShape(order.toSorted((a, b) => a - b)) !== showShape(shape.map((_, axis) => axis)) ||
    order.length === 0
  )
    context.fail(
      'axis',
      `dim must name each of the ${shape.length} axes of ${showShape(shape)} once, found ${order.join(', ') || 'none'}`,
      positionOf(context.layer.transpose_param, 'dim') ?? 'transpose_param',
    );
  if (order.length > 8) context.fail('dimensions', `takes up to 8 axes, found ${showShape(shape)}`);
  const layer = new Composition(context.shapes);
  return layer.built([layer.permute(layer.bottoms[0]!, order)]);
}

/** reverse_layer.cpp: reverses the order along an axis. */
function reverse(context: LayerContext): Built {
  const p = withDefaults<{ axis: number }>('ReverseParameter', context.layer.reverse_param);
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, p.axis, shape.length);
  const { outer, channels, inner } = around(shape, axis);
  const layer = new Composition(context.shapes);
  const rows = layer.reshape(layer.bottoms[0]!, [outer, 1, channels, inner]);
  const turned = layer.one({ kind: 'flip', height: true, width: false }, [rows], rows.shape);
  return layer.built([layer.reshape(turned, shape)]);
}

/** convert_layer.cpp: items of N×C×W become a sequence W×N×C. The second top is 0 in its first step, and 1 in the others. */
function convert(context: LayerContext): Built {
  const shape = context.shapes[0]!;
  const [n = 1, channels = 1] = shape;
  const steps = shape.at(-1) ?? 1;
  if (shape.length < 3 || elementCount(shape) !== n * channels * steps)
    context.fail('shape', `needs a bottom of N×C×W or N×C×1×W, found ${showShape(shape)}`);
  const layer = new Composition(context.shapes);
  const items = layer.reshape(layer.bottoms[0]!, [n, channels, steps]);
  return layer.built([layer.permute(items, [2, 0, 1]), layer.one({ kind: 'continuation' }, [], [steps, n])]);
}

/** A sequence T×N×…, or, with batch_size or two axes, T·N×…. */
function stepsOf(context: LayerContext): {
  readonly steps: number;
  readonly batch: number;
  readonly depth: number;
  readonly isFlat: boolean;
} {
  const [x] = context.shapes as [Shape];
  const written = context.layer.lstm_param as { batch_size?: number } | undefined;
  const isFlat = written?.batch_size !== undefined || x.length < 3;
  if (x.length < 2) context.fail('dimensions', `needs x of T×N×…, or of T·N×…, found ${showShape(x)}`);
  const batch = isFlat ? (written?.batch_size ?? 1) : x[1]!;
  if (batch < 1 || x[0]! % (isFlat ? batch : 1) !== 0)
    context.fail(
      'shape',
      `batch_size ${batch} must divide the ${x[0]} rows of ${showShape(x)}`,
      positionOf(context.layer.lstm_param, 'batch_size'),
    );
  const steps = isFlat ? x[0]! / batch : x[0]!;
  checkSteps(context, steps);
  return { steps, batch, depth: elementCount(x.slice(isFlat ? 1 : 2)), isFlat };
}

/**
 * lstm_layer.cpp of caffe-lstm: gates i, f, o, g; blobs W_x, W_h, b. Without a second bottom the sequence starts from zeros.
 * With one, it continues from the last run where that bottom is not 0. Its diffs are the exact derivatives. If a second
 * bottom divides a sequence, the fork's diff of W_h also includes the values before the division.
 */
function lstm(context: LayerContext): Built {
  const p = withDefaults<{
    num_output?: number;
    clipping_threshold: number;
    weight_filler?: object;
    bias_filler?: object;
  }>('LSTMParameter', context.layer.lstm_param);
  const size = p.num_output ?? 0;
  if (size < 1) context.fail('num-output', 'num_output must be given and at least 1', 'lstm_param');
  if (p.clipping_threshold > 0 && context.state.phase === 'TRAIN')
    context.fail(
      'unsupported',
      `clipping_threshold: ${p.clipping_threshold} limits diffs inside the layer, which is not supported in phase TRAIN; remove it, and limit all diffs by the solver's clip_gradients`,
      positionOf(context.layer.lstm_param, 'clipping_threshold'),
    );
  const { steps, batch, depth, isFlat } = stepsOf(context);
  const layer = new Composition(context.shapes);
  const [x, clip] = layer.bottoms as [Part, Part?];
  if (clip !== undefined && elementCount(clip.shape) !== steps * batch)
    context.fail(
      'shape',
      `the second bottom must say for each of ${steps}×${batch} rows whether its sequence continues, found ${showShape(clip.shape)}`,
    );
  const weights = context.parameter([4 * size, depth], p.weight_filler);
  const hidden = context.parameter([4 * size, size], p.weight_filler);
  const bias = context.parameter([4 * size], p.bias_filler);
  const product = (part: Part, of: ParameterId, added: ParameterId | null) =>
    layer.one(inner(of, added, 4 * size), [part], [...part.shape.slice(0, 2), 4 * size]);
  const inputs = layer.alongFirst(product(layer.reshape(x, [steps, batch, depth]), weights, bias));
  const cont = layer.alongFirst(
    clip === undefined
      ? layer.one({ kind: 'continuation' }, [], [steps, batch])
      : goesOn(layer, clip, [steps, batch]),
  );
  const state = [1, batch, size];
  const memories = ['h', 'c'].map((name) => `${context.layer.name ?? ''} ${name}`);
  let [h, c] =
    clip === undefined
      ? [null, nothing(layer, inputs[0]!, state)]
      : (memories.map((memory) => layer.one({ kind: 'recall', memory }, [], state)) as [Part, Part]);
  const tops: Part[] = [];
  inputs.forEach((input, t) => {
    const isFirst = t === 0;
    const before =
      h === null || (clip === undefined && isFirst) ? [] : [continued(layer, h, cont[t]!, isFirst)];
    const gates = layer.sum([input, ...before.map((part) => product(part, hidden, null))]);
    [c, h] = layer.add(
      { kind: 'lstmUnit' },
      [c, gates, cont[t]!],
      [state, state],
      [!isFirst, true, false],
    ) as [Part, Part];
    tops.push(h);
  });
  if (clip !== undefined)
    tops.push(layer.one({ kind: 'remember', memories }, [tops.pop()!, c], state, [true, false]));
  const all = layer.one({ kind: 'concat', axis: 0 }, tops, [steps, batch, size]);
  return layer.built([isFlat ? layer.reshape(all, [steps * batch, size]) : all]);
}

/** 1 where a value is not 0. */
function goesOn(layer: Composition, clip: Part, shape: Shape): Part {
  const magnitude = layer.one({ kind: 'absval' }, [layer.reshape(clip, shape)], shape, [false]);
  return layer.one({ kind: 'threshold', threshold: 0 }, [magnitude], shape, [false]);
}

/** Zeros as the state from which a sequence starts. */
function nothing(layer: Composition, input: Part, state: Shape): Part {
  const part = layer.one({ kind: 'crop', offset: [0, 0, 0] }, [input], state, [false]);
  return layer.one({ kind: 'power', power: 1, scale: 0, shift: 0 }, [part], state, [false]);
}
