/**
 * LSTM, RNN and LSTMUnit, unrolled over the steps of their sequence as in Caffe; ContinuationIndicator (Intel's and
 * DeepDetect's forks), which marks the beginnings of sequences.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { type ParameterId, unfused } from './operation.ts';

export const recurrentLayers: Layers = {
  LSTM: { build: lstm, bottoms: [2, 5], tops: [1, 3] },
  RNN: { build: rnn, bottoms: [2, 4], tops: [1, 2] },
  LSTMUnit: { build: lstmUnit, bottoms: [3, 3], tops: [2, 2] },
  ContinuationIndicator: { build: continuation, bottoms: [0, 1] },
};

/** Longer sequences would exceed the memory in Caffe. Each step consists of several operations. */
const MOST_STEPS = 2 ** 16;

/** Refuses more steps than are unrolled. */
export function checkSteps(context: LayerContext, steps: number): void {
  if (steps > MOST_STEPS)
    context.fail(
      'unsupported',
      `${steps} steps in time are unrolled into several operations each; ${MOST_STEPS} is the largest number that is supported`,
    );
}

/** A recurrent layer while it is built: its sequence is divided into steps. */
interface Unrolled {
  readonly layer: Composition;
  readonly size: number;
  /** Whether the state has bottoms and tops. */
  readonly exposed: boolean;
  /** The contribution of the input to each step, W·x + b, and that of the static input. */
  readonly input: readonly Part[];
  /** [1, N] of each step. */
  readonly cont: readonly Part[];
  /** The state before the first step, [1, N, D] each. */
  readonly before: readonly Part[];
  readonly fillers: { readonly weight_filler?: object; readonly bias_filler?: object };
  /** Stores the state for the next run if no tops expose it, and returns the first value. */
  readonly remember: (state: readonly Part[]) => Part;
}

/**
 * recurrent_layer.cpp: bottoms x [T, N, …], cont [T, N], a static input [N, …], and with expose_hidden the initial state,
 * [1, N, D] each, and tops of the final state.
 * @param gates The number of values that the input makes for each of the D outputs.
 * @param states The number of state values: an LSTM has h and c.
 */
function unroll(context: LayerContext, gates: number, states: number): Unrolled {
  const p = withDefaults<{
    num_output: number;
    expose_hidden: boolean;
    weight_filler?: object;
    bias_filler?: object;
  }>('RecurrentParameter', context.layer.recurrent_param);
  const { num_output: size, expose_hidden: exposed } = p;
  const [x, cont] = context.shapes as [Shape, Shape];
  if (size < 1) context.fail('num-output', 'num_output must be given and at least 1', 'recurrent_param');
  if (x.length < 2) context.fail('dimensions', `needs x of T×N×…, found ${showShape(x)}`);
  if (cont.length !== 2 || cont[0] !== x[0] || cont[1] !== x[1])
    context.fail(
      'shape',
      `the second bottom, cont, must be T×N, here ${x[0]}×${x[1]}, found ${showShape(cont)}`,
    );
  const hidden = exposed ? states : 0;
  const others = context.shapes.length - 2 - hidden;
  if (others < 0)
    context.fail(
      'bottom-count',
      `with expose_hidden needs at least ${2 + hidden} bottoms (x, cont and the initial state), found ${context.shapes.length}`,
    );
  if (others > 1)
    context.fail(
      'bottom-count',
      `takes ${2 + hidden} bottoms${exposed ? '' : ' without expose_hidden'}, or one more for a static input, found ${context.shapes.length}`,
    );
  if (context.topCount !== 1 + hidden)
    context.fail(
      'top-count',
      `takes ${1 + hidden} tops ${exposed ? 'with' : 'without'} expose_hidden, found ${context.topCount}`,
    );
  checkSteps(context, x[0]!);
  const batch = x[1]!;
  const layer = new Composition(context.shapes);
  const product = (part: Part, axis: number, outputs: number, bias: boolean) => {
    const depth = elementCount(part.shape.slice(axis));
    const weights = context.parameter([outputs, depth], p.weight_filler);
    return layer.one(
      {
        kind: 'innerProduct',
        weights,
        bias: bias ? context.parameter([outputs], p.bias_filler) : null,
        axis,
        numOutput: outputs,
        transpose: false,
        ...unfused,
      },
      [part],
      [...part.shape.slice(0, axis), outputs],
    );
  };
  const inputs = layer.alongFirst(product(layer.bottoms[0]!, 2, gates * size, true));
  const before = layer.bottoms.slice(context.shapes.length - hidden);
  let input: readonly Part[] = inputs;
  if (others === 1) {
    const fixed = layer.bottoms[2]!;
    if (fixed.shape[0] !== batch)
      context.fail(
        'shape',
        `the static input must have ${batch} items (axis 0), found ${showShape(fixed.shape)}`,
      );
    const added = layer.reshape(product(fixed, 1, gates * size, false), [1, batch, gates * size]);
    input = inputs.map((each) => layer.sum([each, added]));
  }
  const state = [1, batch, size];
  before.forEach(({ shape }) => {
    if (showShape(shape) !== showShape(state))
      context.fail('shape', `the initial state must be ${showShape(state)}, found ${showShape(shape)}`);
  });
  const memories = ['h', 'c'].slice(0, states).map((name) => `${context.layer.name ?? ''} ${name}`);
  return {
    layer,
    size,
    exposed,
    input,
    cont: layer.alongFirst(layer.bottoms[1]!),
    before: exposed ? before : memories.map((memory) => layer.one({ kind: 'recall', memory }, [], state)),
    fillers: p,
    remember: (last) =>
      exposed ? last[0]! : layer.one({ kind: 'remember', memories }, last, state, [true, false]),
  };
}

/** The state before a step, multiplied by cont. No diff goes to the state before the first step. */
export function continued(layer: Composition, before: Part, cont: Part, isFirst: boolean): Part {
  const [, batch, size] = before.shape as [number, number, number];
  return layer.one(
    { kind: 'scale', operand: 'scale', scale: null, bias: null, outer: 1, channels: batch, inner: size },
    [before, cont],
    before.shape,
    [!isFirst, false],
  );
}

/** A product over the values after the second axis, for all steps or for one. */
export const inner = (weights: ParameterId, bias: ParameterId | null, numOutput: number) =>
  ({ kind: 'innerProduct', weights, bias, axis: 2, numOutput, transpose: false, ...unfused }) as const;

/** lstm_layer.cpp: gates i, f, o, g. */
function lstm(context: LayerContext): Built {
  const unrolled = unroll(context, 4, 2);
  const { layer, size, input, cont, fillers } = unrolled;
  const weights = context.parameter([4 * size, size], fillers.weight_filler);
  let [h, c] = unrolled.before as [Part, Part];
  const tops: Part[] = [];
  input.forEach((added, t) => {
    const own = layer.one(
      inner(weights, null, 4 * size),
      [continued(layer, h, cont[t]!, t === 0)],
      added.shape,
    );
    [c, h] = layer.add(
      { kind: 'lstmUnit' },
      [c, layer.sum([own, added]), cont[t]!],
      [c.shape, h.shape],
      [t > 0, true, false],
    ) as [Part, Part];
    tops.push(h);
  });
  return joined(unrolled, [...tops.slice(0, -1), unrolled.remember([h, c])], [h, c]);
}

/** rnn_layer.cpp: h = tanh(W_hh·h + W_xh·x + b), o = tanh(W_ho·h + b_o). */
function rnn(context: LayerContext): Built {
  const unrolled = unroll(context, 1, 1);
  const { layer, size, input, cont, fillers } = unrolled;
  const hidden = context.parameter([size, size], fillers.weight_filler);
  const weights = context.parameter([size, size], fillers.weight_filler);
  const bias = context.parameter([size], fillers.bias_filler);
  let [h] = unrolled.before as [Part];
  const states: Part[] = [];
  input.forEach((added, t) => {
    const own = layer.one(inner(hidden, null, size), [continued(layer, h, cont[t]!, t === 0)], added.shape);
    h = layer.one({ kind: 'tanh' }, [layer.sum([own, added])], added.shape);
    states.push(h);
  });
  const last = unrolled.remember([h]);
  const tops = states.map((state, t) => {
    const of = t === states.length - 1 ? last : state;
    const made = layer.one(inner(weights, bias, size), [of], state.shape);
    return layer.one({ kind: 'tanh' }, [made], state.shape);
  });
  return joined(unrolled, tops, [h]);
}

/** The tops of all steps and, if it is exposed, the final state, whose diffs Caffe does not read. */
function joined({ layer, size, exposed }: Unrolled, tops: readonly Part[], state: readonly Part[]): Built {
  const batch = tops[0]!.shape[1]!;
  const all = layer.one({ kind: 'concat', axis: 0 }, tops, [tops.length, batch, size]);
  const final = exposed
    ? state.map((each) => layer.one({ kind: 'reshape' }, [each], each.shape, [false]))
    : [];
  return layer.built([all, ...final]);
}

/** lstm_unit_layer.cpp */
function lstmUnit(context: LayerContext): Built {
  const [c, gates, cont] = context.shapes as [Shape, Shape, Shape];
  const [one, batch, size] = c as [number, number, number];
  if (c.length !== 3 || one !== 1)
    context.fail('shape', `the first bottom, c, must be 1×N×D, found ${showShape(c)}`);
  if (showShape(gates) !== showShape([1, batch, 4 * size]))
    context.fail(
      'shape',
      `the second bottom, the gates, must be ${showShape([1, batch, 4 * size])}, found ${showShape(gates)}`,
    );
  if (showShape(cont) !== showShape([1, batch]))
    context.fail(
      'shape',
      `the third bottom, cont, must be ${showShape([1, batch])}, found ${showShape(cont)}`,
    );
  return { operation: { kind: 'lstmUnit' }, tops: [c, c] };
}

/** continuation_indicator_layer.cpp; in DeepDetect's fork the batch is the bottom's. */
function continuation(context: LayerContext): Built {
  const p = withDefaults<{ time_step: number; batch_size: number; axis: number }>(
    'ContinuationIndicatorParameter',
    context.layer.continuation_indicator_param,
  );
  const bottom = context.shapes[0];
  const batch =
    p.batch_size > 0 || bottom === undefined
      ? p.batch_size
      : bottom[canonicalAxis(context, p.axis, bottom.length)]!;
  if (p.time_step < 1 || batch < 1)
    context.fail(
      'continuation',
      'time_step must be at least 1, and batch_size, or a bottom whose axis is the batch, must be given',
      'continuation_indicator_param',
    );
  const layer = new Composition(context.shapes);
  return layer.built([layer.one({ kind: 'continuation' }, [], [p.time_step, batch])]);
}
