/**
 * Every kind of operation, once. `npm run generate` writes from it the types (operations.ts), the C++ structs
 * (native/core/operations.h), from whose fields the border reads, and docs/operations.md.
 */
import type { OperationAttributes } from './operations.ts';
import {
  boolean,
  choice,
  integer,
  learned,
  number,
  numbers,
  operation,
  optional,
  pair,
  parameters,
  type Reads,
  type Row,
  relu,
  rows,
  statistics,
  word,
} from './row.ts';

export type Kind = OperationAttributes['kind'];

/** What several kinds say alike: a shape factored around an axis. */
const around = {
  outer: integer(0, 1, 'The product of the dimensions before the axis.'),
  channels: integer(0, 1, "The axis's size."),
  inner: integer(0, 1, 'The product of the dimensions behind it.'),
};

const hasRelu = (of: { readonly relu: object | null }) => of.relu !== null;

/** Where the output has the input's sign, the output alone is read. */
const signOf = (slope: number): Reads => (slope >= 0 ? { outputs: 'all' } : { inputs: 'all' });

const alike = { inputs: 'x', outputs: 'y, of the same shape' };
const elementwise = { ...alike, isElementwise: true } as const;

/** One row a kind, in the order of the C++ variant. */
export const schema: { readonly [K in Kind]: Row<Extract<OperationAttributes, { kind: K }>> } = {
  convolution: {
    name: 'Convolution',
    says: '2-D cross-correlation, its size rounded down. A residual is added behind the bias and before the ReLU.',
    inputs: 'x; or x and a residual of the shape of y',
    outputs: 'y',
    fields: {
      weights: learned('[num_output, C/group, kh, kw]'),
      bias: optional(learned('[num_output]')),
      kernel: pair(1, 'The size of its window.'),
      stride: pair(1, 'From one window to the next.'),
      pad: pair(0, 'Zeros on each side.'),
      dilation: pair(1, "From one of the window's places to the next."),
      group: integer(1, 1, 'Channels are cut into so many groups, each with its share of the outputs.'),
      relu,
    },
    gradient: (of, { parameters: [weights = false] }) => ({ inputs: [weights], outputs: [hasRelu(of)] }),
  },
  innerProduct: {
    name: 'InnerProduct',
    says: 'y[m, n] = Σk x[m, k]·w[n, k] + bias[n], x flattened from an axis.',
    inputs: 'x',
    outputs: 'y',
    fields: {
      weights: learned('[N, K], or [K, N] with transpose'),
      bias: optional(learned('[N]')),
      axis: integer(0, 1, 'K is the product of the dimensions from here.'),
      numOutput: integer(1, 1, 'N.'),
      transpose: boolean(false, 'The weights are [K, N].'),
      relu,
    },
    gradient: (of, { parameters: [weights = false] }) => ({ inputs: [weights], outputs: [hasRelu(of)] }),
  },
  scale: {
    name: 'Scale',
    says: 'y[o, c, i] = x[o, c, i]·scale[c] + bias[c]. Also what is left of BatchNorm with global statistics, Scale and Bias where no convolution takes them: scale and bias are computed when weights are packed.',
    inputs: 'x; or x and what `operand` names, [channels]',
    outputs: 'y, of the shape of x',
    fields: {
      operand: choice('ScaleOperand', ['none', 'scale', 'bias'], 'What the second input is.'),
      scale: optional(learned('[channels]')),
      bias: optional(learned('[channels]')),
      ...around,
      relu,
    },
    gradient: (of, { inputs: [x = false, second = false], parameters: [scale = false] }) => ({
      inputs: [scale || (of.operand === 'scale' && second), of.operand === 'scale' && x],
      outputs: [hasRelu(of)],
    }),
  },
  batchNorm: {
    name: 'BatchNorm',
    says: 'y = relu(scale · (x − mean) / √(variance + eps) + bias) over axis 1; batch statistics go into the running sums. The Scale layer behind it is a part of it.',
    inputs: 'x',
    outputs: 'y; or y and the mean and the biased variance [C] that it used, which its gradient reads',
    fields: {
      mean: statistics('[C]', 'The sum of means.'),
      variance: statistics('[C]', 'The sum of unbiased variances.'),
      factor: statistics('[1]', 'What both sums are divided by; 0 makes them 0.'),
      eps: number(1e-5, 'Added to the variance.'),
      movingAverageFraction: number(0.999, 'What stays of the sums when a batch comes.'),
      statistics: choice(
        'Statistics',
        ['batch', 'global'],
        'Those of this batch, or the parameters divided by the factor.',
      ),
      update: boolean(
        true,
        'Batch statistics go into the running sums; false where a forward pass is computed again.',
      ),
      synchronised: boolean(
        false,
        'Batch statistics are those of all processes that train together, whose batches are equally large.',
      ),
      scale: optional(learned('[C]')),
      bias: optional(learned('[C]')),
      relu,
    },
    gradient: (of, { inputs: [x = false], parameters: [scale = false] }) => {
      const isBatch = of.statistics === 'batch';
      return { inputs: [(isBatch && x) || scale], outputs: [hasRelu(of), isBatch, isBatch] };
    },
    differentiable: { outputs: [true] },
  },
  relu: {
    name: 'Relu',
    says: 'max(x, 0) + negativeSlope · min(x, 0).',
    ...elementwise,
    fields: { negativeSlope: number(0, "Caffe's negative_slope.") },
    gradient: ({ negativeSlope }) => signOf(negativeSlope),
  },
  elu: {
    name: 'Elu',
    says: 'x where it is positive, else alpha · (eˣ − 1).',
    ...elementwise,
    fields: { alpha: number(1, "Caffe's alpha.") },
    gradient: ({ alpha }) => signOf(alpha),
  },
  sigmoid: {
    name: 'Sigmoid',
    says: '1 / (1 + e⁻ˣ).',
    ...elementwise,
    fields: {},
    gradient: { outputs: 'all' },
  },
  tanh: { name: 'Tanh', says: 'tanh x.', ...elementwise, fields: {}, gradient: { outputs: 'all' } },
  absval: { name: 'AbsVal', says: '|x|.', ...elementwise, fields: {}, gradient: { inputs: 'all' } },
  power: {
    name: 'Power',
    says: '(shift + scale·x)^power; 1 where the power is 0.',
    ...elementwise,
    fields: {
      power: number(1, 'The exponent.'),
      scale: number(1, 'Of x.'),
      shift: number(0, 'Added to it.'),
    },
    gradient: ({ power, scale }) => ({ inputs: [power !== 0 && power !== 1 && scale !== 0] }),
  },
  prelu: {
    name: 'PRelu',
    says: 'max(x, 0) + slope · min(x, 0), channels on axis 1.',
    ...alike,
    fields: {
      slope: learned('[C], or one value with channelShared'),
      channelShared: boolean(false, 'One slope for all channels.'),
    },
    gradient: { inputs: 'all' },
  },
  dropout: {
    name: 'Dropout',
    says: 'In training: of x, `ratio` (by chance) becomes 0, and the rest is divided by 1 − ratio. What becomes 0 is a function of seed, stream, rank, iteration, pass and place alone (Philox4x32-10, native/core/philox.h): a run that is resumed draws what the whole one would have, and the backward pass draws again what the forward pass drew.',
    inputs: 'x and the pass, [iteration, pass of the iteration], each an integer below 2²⁴',
    outputs: 'y, of the shape of x',
    fields: {
      ratio: number(0.5, 'The share that becomes 0.'),
      seed: word("The net's random_seed."),
      stream: word("Which of the net's dropouts."),
      rank: word('Of the processes that train together.'),
    },
    gradient: { inputs: [false, true] },
    differentiable: { inputs: [true] },
  },
  eltwise: {
    name: 'Eltwise',
    says: 'The sum, product or maximum of its inputs. Where inputs of max are equal the value is the same whichever wins.',
    inputs: 'one or more of the same shape',
    outputs: 'y, of their shape',
    fields: {
      operation: choice('EltwiseKind', ['sum', 'prod', 'max'], 'What is done.'),
      coefficients: numbers('Of sum: one an input (all 1 where Caffe gives none).'),
      stableProdGrad: boolean(
        true,
        'Of prod: the diff is the product of the other inputs; else the output over the input, NaN where that is 0.',
      ),
      relu,
    },
    gradient: (of) => ({
      inputs: of.operation === 'sum' ? 'none' : 'all',
      outputs: [hasRelu(of) || (of.operation === 'prod' && !of.stableProdGrad)],
    }),
  },
  pooling: {
    name: 'Pooling',
    says: "The maximum or the mean of windows. The size of y is its shape's (Caffe's ceil and clip rules are the shape rules' affair). The mean divides by the window clipped to [−pad, size + pad): Caffe's rule.",
    inputs: 'x, N×C×H×W',
    outputs: 'y; or y and the mask (max only: the index h·W + w of the maximum in its plane, as float)',
    fields: {
      method: choice('PoolingMethod', ['max', 'average'], 'What is taken.'),
      kernel: pair(1, 'The size of a window.'),
      stride: pair(1, 'From one window to the next.'),
      pad: pair(0, 'On each side; below the kernel.'),
    },
    gradient: ({ method }) => ({ inputs: [method === 'max'] }),
    differentiable: { outputs: [true] },
  },
  softmax: {
    name: 'Softmax',
    says: 'eˣ over its sum along the channels.',
    ...alike,
    fields: around,
    gradient: { outputs: 'all' },
  },
  softmaxLoss: {
    name: 'SoftmaxLoss',
    says: 'The mean of −log of the probability of each label.',
    inputs: 'scores; labels, [outer, inner]',
    outputs: 'the loss, one value',
    fields: {
      ...around,
      ignoreLabel: optional(integer(-(2 ** 53), 0, 'Places with this label do not count.')),
      normalization: choice(
        'Normalization',
        ['full', 'valid', 'batchSize', 'none'],
        'What the sum is divided by: all places, those that count, outer, or 1.',
        'valid',
      ),
    },
    gradient: { inputs: 'all' },
    differentiable: { inputs: [true], outputs: [true] },
  },
  euclideanLoss: {
    name: 'EuclideanLoss',
    says: 'Σ(a − b)² / (2·N), N the first dimension.',
    inputs: 'a; b, as many values',
    outputs: 'the loss, one value',
    fields: {},
    gradient: { inputs: 'all' },
  },
  accuracy: {
    name: 'Accuracy',
    says: 'The share of places whose label is among the best scores; a tie counts against the label.',
    inputs: 'scores; labels, [outer, inner]',
    outputs: 'the accuracy, one value; or it and that of each class, [channels]',
    fields: {
      topK: integer(1, 1, 'How many scores may be best.'),
      ...around,
      ignoreLabel: optional(integer(-(2 ** 53), 0, 'Places with this label do not count.')),
    },
    gradient: null,
  },
  concat: {
    name: 'Concat',
    says: 'Inputs one behind the other.',
    inputs: 'one or more, alike but for the axis',
    outputs: 'y',
    fields: { axis: integer(0, 1, 'Along which.') },
    gradient: {},
  },
  slice: {
    name: 'Slice',
    says: 'Its input in parts, whose sizes are the shapes of the outputs.',
    inputs: 'x',
    outputs: 'one a part, in order',
    fields: { axis: integer(0, 1, 'Along which.') },
    gradient: {},
  },
  reshape: {
    name: 'Reshape',
    says: 'The same values in another shape: Flatten, Reshape, Split.',
    inputs: 'x',
    outputs: 'one or more, each with all values of x',
    fields: {},
    gradient: {},
  },
  lrn: {
    name: 'Lrn',
    says: 'x / (k + alpha/n · Σ x²)^beta. across: n = size channels; within: n = size², a mean over windows by the padding rule of pooling, and k = 1.',
    inputs: 'x, N×C×H×W',
    outputs: 'y, of the same shape',
    fields: {
      region: choice('LrnRegion', ['across', 'within'], 'Channels, or places of a plane.'),
      size: integer(1, 5, 'Odd.'),
      alpha: number(1, "Caffe's alpha."),
      beta: number(0.75, "Caffe's beta."),
      k: number(1, "Caffe's k."),
    },
    gradient: { inputs: 'all' },
  },
  gradient: {
    name: 'Gradient',
    says: 'The gradient of an operation. An id of −1 stands for a tensor that is not there.',
    inputs:
      'what that operation read (or the same, computed again), what it made, and the diffs of what it made; each −1 where it is not needed or has none',
    outputs:
      "the diffs of that operation's inputs, then of its parameters that learn, a place for each whether it is there or not; −1 where nobody asks",
    fields: { of: operation('Index of the operation.') },
    gradient: null,
  },
  allMean: {
    name: 'AllMean',
    says: "Each input's mean over all processes that train together; this process's own values where there are no others.",
    inputs: 'diffs, −1 where there is none',
    outputs: 'one an input, made in its memory where the device can; −1 where it is not there',
    fields: {},
    gradient: null,
  },
  update: {
    name: 'Update',
    says: "Caffe's SGDSolver::ApplyUpdate over all learnable parameters, in place: clip, normalise, regularise, rule. `first` ≠ 0 empties the accumulators before the diffs are added, `last` = 0 ends after that; a parameter without an accumulator needs both set. Where a loss is not finite nothing is updated (Caffe would make every weight NaN): so the weights are still there that the fault can be looked for with.",
    inputs:
      'the schedule [rate, iteration from 0, first, last]; one diff a parameter (−1: it has none and counts as 0); losses',
    outputs:
      "none; or one [1] that is 1 where the last pass's diffs (accumulated ones together) are not finite, which updates nothing then, else 0",
    fields: {
      rule: choice(
        'UpdateRule',
        ['sgd', 'nesterov', 'adagrad', 'rmsprop', 'adadelta', 'adam'],
        "Caffe's solver type.",
      ),
      momentum: number(0, "Caffe's momentum."),
      momentum2: number(0.999, "Adam's."),
      delta: number(1e-8, 'Added to roots.'),
      rmsDecay: number(0, "RMSProp's."),
      clipGradients: optional(number(0, 'The greatest L2 norm of all diffs together.')),
      iterSize: integer(1, 1, 'How many passes an iteration sums.'),
      lossScale: number(1, 'Diffs, and what accumulates, are so many times what they should be.'),
      weightDecay: number(0, "Caffe's weight_decay."),
      regularization: choice('Regularization', ['L1', 'L2'], "Caffe's regularization_type.", 'L2'),
      parameters: rows(
        'UpdatedParameter',
        {
          parameter: statistics("the parameter's", 'What is updated.'),
          history: parameters('Of its shape: two for Adam and AdaDelta, else one.'),
          accumulator: optional(statistics("the parameter's", 'Sums diffs over `iterSize` runs.')),
          lrMult: number(1, "ParamSpec's lr_mult."),
          decayMult: number(1, "ParamSpec's decay_mult."),
        },
        'All that learn.',
      ),
    },
    gradient: null,
  },
};
