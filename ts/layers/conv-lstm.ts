/**
 * ConvLSTM (arXiv:1506.04214; agethen's fork, also in github.com/DengPingFan/DAVSOD), unrolled over the steps of its sequence:
 * an LSTM whose products are convolutions, and whose gates see the cells.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { inheritPosition, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { type Pair, type ParameterId, unfused } from './operation.ts';
import { checkSteps, continued } from './recurrent.ts';
import { spatialWindow, windowsAlong } from './spatial-window.ts';

export const convLstmLayers: Layers = { ConvLSTM: { build: convLstm, bottoms: [2, 4], tops: [1, 3] } };

const ONE = { type: 'constant', value: 1 };
const STATES = ['h', 'c'];

/**
 * conv_lstm_layer.cpp: bottoms x [T, N, C, H, W], cont [T, N] and, with expose_hidden, h and c before the first step, whose
 * shape is [1, N, num_output, H, W]; tops h of all steps and, with expose_hidden, h and c after the last one. Unlike LSTM's,
 * the exposed states propagate diffs. All gates, the output gate too, see the cells before the step.
 */
function convLstm(context: LayerContext): Built {
  const { expose_hidden: exposed } = withDefaults<{ expose_hidden: boolean }>(
    'RecurrentParameter',
    context.layer.recurrent_param,
  );
  const [steps, batch, channels, ...plane] = sequenceOf(context, exposed);
  const cells = convolutionsOf(context, channels!, plane);
  const { outputs, convolve } = cells;
  const state = [1, batch!, outputs, ...plane];
  const flat = [1, batch!, elementCount(state.slice(2))];
  const seen = peepholesOf(context, state);
  const layer = new Composition(context.shapes);
  const gatesOf = (x: Part, items: number, depth: number, own: Own) =>
    convolve(layer, layer.reshape(x, [items, depth, ...plane]), own);
  const all = gatesOf(layer.bottoms[0]!, steps! * batch!, channels!, cells.input);
  const inputs = layer.alongFirst(layer.reshape(all, [steps!, batch!, 4 * flat[2]!]));
  const cont = layer.alongFirst(layer.bottoms[1]!);
  const memories = STATES.map((name) => `${context.layer.name ?? ''} ${name}`);
  let [h, c] = memories.map((memory, i) => {
    if (!exposed) return layer.one({ kind: 'recall', memory }, [], flat);
    const given = layer.bottoms[2 + i]!;
    if (showShape(given.shape) !== showShape(state))
      context.fail('shape', `the initial state must be ${showShape(state)}, found ${showShape(given.shape)}`);
    return layer.reshape(given, flat);
  }) as [Part, Part];
  const tops = inputs.map((input, t) => {
    const flows = exposed || t > 0;
    const before = continued(layer, h, cont[t]!, !flows);
    const own = layer.reshape(gatesOf(before, batch!, outputs, cells.hidden), input.shape);
    const gates = withPeepholes(layer, layer.sum([own, input]), { c, seen, flows });
    [c, h] = layer.add({ kind: 'lstmUnit' }, [c, gates, cont[t]!], [flat, flat], [flows, true, false]) as [
      Part,
      Part,
    ];
    return h;
  });
  const last = exposed ? h : layer.one({ kind: 'remember', memories }, [h, c], flat, [true, false]);
  const joined = layer.one(
    { kind: 'concat', axis: 0 },
    [...tops.slice(0, -1), last],
    [steps!, ...flat.slice(1)],
  );
  const final = exposed ? [h, c].map((each) => layer.reshape(each, state)) : [];
  return layer.built([layer.reshape(joined, [steps!, ...state.slice(1)]), ...final]);
}

/** The shape of x, after the counts and shapes of bottoms and tops are checked. */
function sequenceOf(context: LayerContext, exposed: boolean): Shape {
  const [x, cont] = context.shapes as [Shape, Shape];
  if (x.length !== 5) context.fail('dimensions', `needs x of T×N×C×H×W, found ${showShape(x)}`);
  if (showShape(cont) !== showShape(x.slice(0, 2)))
    context.fail(
      'shape',
      `the second bottom, cont, must be T×N, here ${x[0]}×${x[1]}, found ${showShape(cont)}`,
    );
  const states = exposed ? STATES.length : 0;
  if (context.shapes.length !== 2 + states)
    context.fail(
      'bottom-count',
      `takes ${2 + states} bottoms ${exposed ? 'with' : 'without'} expose_hidden, found ${context.shapes.length}; a static input is not supported`,
    );
  if (context.topCount !== 1 + states)
    context.fail(
      'top-count',
      `takes ${1 + states} tops ${exposed ? 'with' : 'without'} expose_hidden, found ${context.topCount}`,
    );
  checkSteps(context, x[0]!);
  return x;
}

/** The weights of one of the two convolutions. */
interface Own {
  readonly weights: ParameterId;
  readonly bias: ParameterId | null;
}

/** The convolutions of the input and of the hidden state, whose windows are the same: four gates each. */
function convolutionsOf(context: LayerContext, channels: number, plane: Shape) {
  const param = context.layer.lstm_conv_param;
  if (param === undefined) return context.fail('num-output', 'needs lstm_conv_param, its convolutions');
  const p = withDefaults<{
    num_output?: number;
    bias_term: boolean;
    group: number;
    weight_filler?: object;
    bias_filler?: object;
  }>('ConvolutionParameter', param);
  const outputs = p.num_output ?? 0;
  if (outputs < 1)
    context.fail('num-output', 'num_output must be given and at least 1', positionOf(param, 'num_output'));
  if (p.group < 1 || channels % p.group !== 0 || outputs % p.group !== 0)
    context.fail(
      'group',
      `group ${p.group} must divide the ${channels} channels of x and num_output, ${outputs}`,
      positionOf(param, 'group'),
    );
  const inner = { ...context.layer, convolution_param: param };
  inheritPosition(inner, context.layer);
  const window = spatialWindow({ ...context, layer: inner, shapes: [[1, channels, ...plane]] });
  const { kernel, stride, pad, dilation, cut } = window;
  const windows = windowsAlong(plane, window);
  if (cut !== undefined || plane.some((size, i) => windows[i] !== size))
    context.fail(
      'shape',
      `its convolutions must keep the size of their planes, ${plane.join('×')}: choose pad for the kernel (pad 1 for kernel_size 3), stride 1`,
      positionOf(param, 'pad') ?? positionOf(param, 'kernel_size'),
    );
  const weightsOf = (depth: number) =>
    context.parameter([4 * outputs, depth / p.group, ...kernel], p.weight_filler);
  return {
    outputs,
    input: { weights: weightsOf(channels), bias: null },
    hidden: {
      weights: weightsOf(outputs),
      bias: p.bias_term ? context.parameter([4 * outputs], p.bias_filler) : null,
    },
    convolve: (layer: Composition, part: Part, own: Own) =>
      layer.one(
        {
          kind: 'convolution',
          ...own,
          kernel: kernel as Pair,
          stride: stride as Pair,
          pad: pad as Pair,
          dilation: dilation as Pair,
          group: p.group,
          affine: [],
          ...unfused,
        },
        [part],
        [part.shape[0]!, 4 * outputs, ...plane],
      ),
  };
}

/** The weights with which the gates i, f and o see the cells, as three Scale layers have them. */
interface Peepholes {
  readonly weights: readonly ParameterId[];
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

function peepholesOf(context: LayerContext, state: Shape): Peepholes | null {
  const param = context.layer.lstm_debug_param;
  const p = withDefaults<{
    expose?: readonly string[];
    disable_hadamard?: boolean;
    axis_hadamard: number;
    num_axes_hadamard: number;
    ignore_x: boolean;
  }>('LSTMDebugParameter', param);
  if (p.ignore_x || (p.expose ?? []).length > 0)
    context.fail(
      'unsupported',
      `${p.ignore_x ? 'ignore_x' : 'expose'} of lstm_debug_param is not supported; remove it`,
      positionOf(param, p.ignore_x ? 'ignore_x' : 'expose'),
    );
  if (p.disable_hadamard) return null;
  const from = canonicalAxis(context, p.axis_hadamard, state.length, 'axis_hadamard');
  const end = from + p.num_axes_hadamard;
  if (p.num_axes_hadamard < 1 || end > state.length)
    context.fail(
      'num-axes',
      `num_axes_hadamard ${p.num_axes_hadamard} from axis ${from} must lie within the state, ${showShape(state)}`,
      positionOf(param, 'num_axes_hadamard'),
    );
  const shape = state.slice(from, end);
  return {
    weights: Array.from({ length: 3 }, () => context.parameter(shape, ONE)),
    outer: elementCount(state.slice(0, from)),
    channels: elementCount(shape),
    inner: elementCount(state.slice(end)),
  };
}

interface Cells {
  readonly c: Part;
  readonly seen: Peepholes | null;
  /** Whether a diff goes down to the cells. */
  readonly flows: boolean;
}

/** Adds what the first three gates see of the cells; the fourth, g, sees nothing. */
function withPeepholes(layer: Composition, gates: Part, { c, seen, flows }: Cells): Part {
  if (seen === null) return gates;
  const { weights, ...around } = seen;
  const [one, batch, size] = c.shape as [number, number, number];
  const three = [one, batch, 3 * size];
  const [sigmoids, candidate] = layer.add({ kind: 'slice', axis: 2 }, [gates], [three, c.shape]) as [
    Part,
    Part,
  ];
  const views = weights.map((scale) =>
    layer.one({ kind: 'scale', operand: 'none', scale, bias: null, ...around }, [c], c.shape, [flows]),
  );
  const sum = layer.sum([sigmoids, layer.one({ kind: 'concat', axis: 2 }, views, three)]);
  return layer.one({ kind: 'concat', axis: 2 }, [sum, candidate], gates.shape);
}
