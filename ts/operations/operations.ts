/** Written by `npm run generate` from ts/operations/schema.ts; not to be edited by hand. */

export type TensorId = number;
export type ProgramParameterId = number;

export type Pair = readonly [height: number, width: number];

/** y = max(x, 0) + negativeSlope · min(x, 0), as the last step of another operation. */
export interface FusedRelu {
  readonly negativeSlope: number;
}

/**
 * All that learn.
 */
export interface UpdatedParameter {
  /** What is updated. the parameter's */
  readonly parameter: ProgramParameterId;
  /** Of its shape: two for Adam, AdamW and AdaDelta, else one. */
  readonly history: readonly ProgramParameterId[];
  /** Sums diffs over `iterSize` runs. the parameter's */
  readonly accumulator: ProgramParameterId | null;
  /** Follows the parameter. the parameter's */
  readonly average: ProgramParameterId | null;
  /** ParamSpec's lr_mult. */
  readonly lrMult: number;
  /** ParamSpec's decay_mult. */
  readonly decayMult: number;
}

/**
 * 2-D cross-correlation, whose output size is rounded down. A residual is added after the bias and before
 * the ReLU.
 * inputs: x; or x and a residual of the shape of y.
 * outputs: y.
 */
export interface Convolution {
  readonly kind: 'convolution';
  /** [num_output, C/group, kh, kw] */
  readonly weights: ProgramParameterId;
  /** [num_output] */
  readonly bias: ProgramParameterId | null;
  /** The window size. */
  readonly kernel: Pair;
  /** The distance between neighbouring windows. */
  readonly stride: Pair;
  /** The number of zeros on each side. */
  readonly pad: Pair;
  /** The distance between neighbouring taps of a window. */
  readonly dilation: Pair;
  /** The number of groups of channels; each group computes its share of the outputs. */
  readonly group: number;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
  /** A Clip to [0, clip] as the last step, instead of a ReLU. ReLU6 clips to 6. */
  readonly clip: number | null;
  /** A PReLU as the last step, instead of a ReLU: its slopes for values below 0. [num_output], or [1] */
  readonly slopes: ProgramParameterId | null;
}

/**
 * y[m, n] = Σk x[m, k]·w[n, k] + bias[n], where x is flattened from an axis on.
 * inputs: x.
 * outputs: y.
 */
export interface InnerProduct {
  readonly kind: 'innerProduct';
  /** [N, K], or [K, N] with transpose */
  readonly weights: ProgramParameterId;
  /** [N] */
  readonly bias: ProgramParameterId | null;
  /** K is the product of the dimensions from this axis on. */
  readonly axis: number;
  /** N. */
  readonly numOutput: number;
  /** Whether the weights are [K, N]. */
  readonly transpose: boolean;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
  /** A Clip to [0, clip] as the last step, instead of a ReLU. ReLU6 clips to 6. */
  readonly clip: number | null;
  /** A PReLU as the last step, instead of a ReLU: its slopes for values below 0. [num_output], or [1] */
  readonly slopes: ProgramParameterId | null;
}

/**
 * y[o, c, i] = x[o, c, i]·scale[c] + bias[c]. BatchNorm with global statistics, Scale and Bias also become
 * this operation if no convolution absorbs them. Their scale and bias are computed when weights are packed.
 * inputs: x; or x and the operand, [channels].
 * outputs: y, of the shape of x.
 */
export interface Scale {
  readonly kind: 'scale';
  /** The role of the second input, if there is one. */
  readonly operand: 'none' | 'scale' | 'bias';
  /** [channels] */
  readonly scale: ProgramParameterId | null;
  /** [channels] */
  readonly bias: ProgramParameterId | null;
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
}

/**
 * y = relu(scale · (x − mean) / √(variance + eps) + bias + residual) over axis 1. Batch statistics are added
 * to the running sums. The operation includes the Scale layer that follows. With a residual, its gradient
 * takes the diff to which the derivative of the ReLU is already applied.
 * inputs: x; or x and a residual of its shape.
 * outputs: y; or y and the mean and the biased variance, [C], that it used and that its gradient reads; or
 * these and a mask, which is 1 where y is positive, else 0.
 */
export interface BatchNorm {
  readonly kind: 'batchNorm';
  /** The running sum of means. [C] */
  readonly mean: ProgramParameterId;
  /** The running sum of unbiased variances. [C] */
  readonly variance: ProgramParameterId;
  /** The divisor of both sums. If it is 0, the statistics are 0. [1] */
  readonly factor: ProgramParameterId;
  /** Added to the variance. */
  readonly eps: number;
  /** The factor that multiplies the running sums before the statistics of a batch are added. */
  readonly movingAverageFraction: number;
  /** The statistics of this batch, or the running sums divided by the factor. */
  readonly statistics: 'batch' | 'global';
  /** Whether batch statistics are added to the running sums. False when a forward pass is computed again. */
  readonly update: boolean;
  /** Whether batch statistics are computed over all processes that train together. Their batches are equally large. */
  readonly synchronised: boolean;
  /** [C] */
  readonly scale: ProgramParameterId | null;
  /** [C] */
  readonly bias: ProgramParameterId | null;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
}

/**
 * max(x, 0) + negativeSlope · min(x, 0).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Relu {
  readonly kind: 'relu';
  /** Caffe's negative_slope. */
  readonly negativeSlope: number;
}

/**
 * x where x is positive, else alpha · (eˣ − 1).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Elu {
  readonly kind: 'elu';
  /** Caffe's alpha. */
  readonly alpha: number;
}

/**
 * 1 / (1 + e⁻ˣ).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Sigmoid {
  readonly kind: 'sigmoid';
}

/**
 * tanh x.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Tanh {
  readonly kind: 'tanh';
}

/**
 * |x|.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface AbsVal {
  readonly kind: 'absval';
}

/**
 * (shift + scale·x)^power, which is 1 if the power is 0.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Power {
  readonly kind: 'power';
  /** The exponent. */
  readonly power: number;
  /** The factor of x. */
  readonly scale: number;
  /** Added to scale·x. */
  readonly shift: number;
}

/**
 * ln(1 + eˣ).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Bnll {
  readonly kind: 'bnll';
  /** Whether its gradient reads the output instead of the input, as Caffe does for a layer that works in place. */
  readonly inPlace: boolean;
}

/**
 * max(min, min(x, max)), which is min if min > max.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Clip {
  readonly kind: 'clip';
  /** The lower bound. */
  readonly min: number;
  /** The upper bound. */
  readonly max: number;
  /** Whether the diff passes where x is exactly min or max. */
  readonly passesBounds: boolean;
  /** Whether its gradient reads the output instead of the input, as Caffe does for a layer that works in place. */
  readonly inPlace: boolean;
}

/**
 * outer · e^(inner·x).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Exp {
  readonly kind: 'exp';
  /** Caffe's scale · ln(base). */
  readonly inner: number;
  /** Caffe's base^shift. */
  readonly outer: number;
}

/**
 * factor · ln(scale·x + shift).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Log {
  readonly kind: 'log';
  /** The factor of x. */
  readonly scale: number;
  /** Added to scale·x. */
  readonly shift: number;
  /** 1 / ln(base). */
  readonly factor: number;
  /** Whether its gradient reads the output instead of the input, as Caffe does for a layer that works in place. */
  readonly inPlace: boolean;
}

/**
 * 1 where x > threshold, else 0.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Threshold {
  readonly kind: 'threshold';
  /** Caffe's threshold. */
  readonly threshold: number;
}

/**
 * x / (1 + e^(−beta·x)).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Swish {
  readonly kind: 'swish';
  /** Caffe's beta. */
  readonly beta: number;
}

/**
 * x · tanh(ln(1 + eˣ)).
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Mish {
  readonly kind: 'mish';
}

/**
 * x · max(0, min(6, x + 3)) / 6.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface HardSwish {
  readonly kind: 'hardSwish';
}

/**
 * max(x, 0) + slope · min(x, 0), with channels on axis 1.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface PRelu {
  readonly kind: 'prelu';
  /** [C], or one value with channelShared */
  readonly slope: ProgramParameterId;
  /** Whether all channels share one slope. */
  readonly channelShared: boolean;
}

/**
 * In training, sets each value of x to 0 with probability `ratio` and divides the others by 1 − ratio. The
 * choice depends only on seed, stream, rank, iteration, pass and position (Philox4x32-10,
 * native/core/philox.h). A resumed run therefore draws the same numbers as an uninterrupted one, and the
 * backward pass draws those of the forward pass again.
 * inputs: x; the pass, [iteration, pass within the iteration], each an integer below 2²⁴.
 * outputs: y, of the shape of x.
 */
export interface Dropout {
  readonly kind: 'dropout';
  /** The probability that a value becomes 0. */
  readonly ratio: number;
  /** The net's random_seed. */
  readonly seed: number;
  /** The index of this operation among those of the net that draw. */
  readonly stream: number;
  /** The rank of this process among those that train together. */
  readonly rank: number;
}

/**
 * The sum, product or maximum of its inputs. If inputs of max are equal, the value is the same whichever is
 * chosen.
 * inputs: one or more of the same shape.
 * outputs: y, of their shape.
 */
export interface Eltwise {
  readonly kind: 'eltwise';
  /** The operation. */
  readonly operation: 'sum' | 'prod' | 'max';
  /** Only for sum: one factor per input. All are 1 if Caffe gives none. */
  readonly coefficients: readonly number[];
  /** Only for prod: whether the diff is computed from the product of the other inputs. If false, it is computed from the output divided by the input, which is NaN if the input is 0. */
  readonly stableProdGrad: boolean;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
}

/**
 * The sum of diffs where y is positive, and negativeSlope times the sum elsewhere: the diff of the input of
 * a ReLU whose output has several readers. For BatchNorms over batch statistics that this diff belongs to,
 * it also computes the sums that their gradients read: Σ diff and Σ diff · (x − mean) / √(variance + eps)
 * over all axes but 1.
 * inputs: y, or a tensor that is above 0 where y is positive; one to four diffs, of the shape of y or only
 * of the positions that the stride selects; then x, mean and variance of each such BatchNorm.
 * outputs: the diff, of the shape of y; then the two sums, [C], of each such BatchNorm.
 */
export interface SumBehindRelu {
  readonly kind: 'sumBehindRelu';
  /** The ReLU's negative_slope. */
  readonly negativeSlope: number;
  /** The distance between the positions that the smaller diffs hold. At all other positions they are 0. */
  readonly stride: Pair;
  /** The eps of each BatchNorm whose sums are computed; two at most. */
  readonly eps: readonly number[];
}

/**
 * The maximum or the mean of each window. The shape of y, which follows Caffe's ceil and clip rules, gives
 * the number of windows. As in Caffe, the mean divides by the size of the window clipped to [−pad, size +
 * pad).
 * inputs: x, N×C×H×W.
 * outputs: y; or y and the mask (only for max: the index h·W + w of the maximum in its plane, as a float).
 */
export interface Pooling {
  readonly kind: 'pooling';
  /** Whether it takes the maximum or the mean. */
  readonly method: 'max' | 'average';
  /** The window size. */
  readonly kernel: Pair;
  /** The distance between neighbouring windows. */
  readonly stride: Pair;
  /** The padding on each side; smaller than the kernel. */
  readonly pad: Pair;
}

/**
 * eˣ divided by its sum over the channels.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Softmax {
  readonly kind: 'softmax';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
}

/**
 * The mean of −log of each label's probability. Smoothing and class weights are as in
 * torch.nn.CrossEntropyLoss.
 * inputs: scores; labels, [outer, inner].
 * outputs: the loss, one value.
 */
export interface SoftmaxLoss {
  readonly kind: 'softmaxLoss';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Positions with this label do not count. */
  readonly ignoreLabel: number | null;
  /** The divisor of the sum: the number of all positions, of those that count, outer, or 1. */
  readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
  /** The share of the target that is taken from the label and divided equally among all classes. */
  readonly smoothing: number;
  /** The weights of the classes, 256 at most. An item counts with the weight of its class. If the list is empty, all weights are 1. */
  readonly classWeights: readonly number[];
  /** With class weights, whether `valid` divides by the sum of the labels' weights. If false, it divides by the number of labels that count. */
  readonly dividesByWeights: boolean;
}

/**
 * Σ(a − b)² / (2·N), where N is the first dimension.
 * inputs: a; b, with as many values.
 * outputs: the loss, one value.
 */
export interface EuclideanLoss {
  readonly kind: 'euclideanLoss';
}

/**
 * The share of positions whose label is among the topK highest scores; a tie counts against the label.
 * inputs: scores; labels, [outer, inner].
 * outputs: the accuracy, one value; or this and the accuracy of each class, [channels].
 */
export interface Accuracy {
  readonly kind: 'accuracy';
  /** How many of the highest scores are considered. */
  readonly topK: number;
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Positions with this label do not count. */
  readonly ignoreLabel: number | null;
}

/**
 * The inputs, concatenated along an axis.
 * inputs: one or more, whose shapes are equal except along the axis.
 * outputs: y.
 */
export interface Concat {
  readonly kind: 'concat';
  /** The axis along which the inputs are concatenated. */
  readonly axis: number;
}

/**
 * The parts of its input along an axis; the shapes of the outputs give their sizes.
 * inputs: x.
 * outputs: one per part, in order.
 */
export interface Slice {
  readonly kind: 'slice';
  /** The axis along which the input is divided. */
  readonly axis: number;
}

/**
 * The same values in another shape: Flatten, Reshape and Split.
 * inputs: x.
 * outputs: one or more, each with all values of x.
 */
export interface Reshape {
  readonly kind: 'reshape';
}

/**
 * x / (k + alpha/n · Σ x²)^beta. With `across`, the sum is over n = size channels. With `within`, it is over
 * windows of n = size² positions, k is 1, and n follows the padding rule of pooling.
 * inputs: x, N×C×H×W.
 * outputs: y, of the shape of x.
 */
export interface Lrn {
  readonly kind: 'lrn';
  /** Whether the sum is over channels or over positions of a plane. */
  readonly region: 'across' | 'within';
  /** The number of channels, or the side of a window; odd. */
  readonly size: number;
  /** Caffe's alpha. */
  readonly alpha: number;
  /** Caffe's beta. */
  readonly beta: number;
  /** Caffe's k. */
  readonly k: number;
}

/**
 * The transpose of a 2-D convolution: y has stride·(H − 1) + dilation·(kh − 1) + 1 − 2·pad rows. Positions
 * that no window reaches hold the bias.
 * inputs: x, N×C×H×W.
 * outputs: y.
 */
export interface Deconvolution {
  readonly kind: 'deconvolution';
  /** [C, num_output/group, kh, kw] */
  readonly weights: ProgramParameterId;
  /** [num_output] */
  readonly bias: ProgramParameterId | null;
  /** The window size. */
  readonly kernel: Pair;
  /** The distance between neighbouring windows in y. */
  readonly stride: Pair;
  /** The number of rows and columns that are cut from each side of y. */
  readonly pad: Pair;
  /** The distance between neighbouring taps of a window. */
  readonly dilation: Pair;
  /** The number of groups of channels; each group computes its share of the outputs. */
  readonly group: number;
}

/**
 * A region of x, of the size of y.
 * inputs: x.
 * outputs: y, of as many axes as x, 8 at most.
 */
export interface Crop {
  readonly kind: 'crop';
  /** Where the region begins, along each axis. */
  readonly offset: readonly number[];
}

/**
 * Axes in another order: axis i of y is axis order[i] of x.
 * inputs: x.
 * outputs: y, of as many axes as x, 8 at most.
 */
export interface Permute {
  readonly kind: 'permute';
  /** Every axis of x once. */
  readonly order: readonly number[];
}

/**
 * The windows of an image as columns, [outer, channels · Πkernel, windows…]; or, toImage, the image of which
 * each value is the sum of all that columns hold for it: the transpose of the former.
 * inputs: an image, [outer, channels, size…]; or columns.
 * outputs: columns; or an image.
 */
export interface Im2col {
  readonly kind: 'im2col';
  /** From columns to an image. */
  readonly toImage: boolean;
  /** The product of the dimensions before the channels. */
  readonly outer: number;
  /** Of the image. */
  readonly channels: number;
  /** The image's spatial axes, 6 at most. */
  readonly size: readonly number[];
  /** The window size along each spatial axis. */
  readonly kernel: readonly number[];
  /** The distance between neighbouring windows. */
  readonly stride: readonly number[];
  /** The number of zeros on each side. */
  readonly pad: readonly number[];
  /** The distance between neighbouring taps of a window. */
  readonly dilation: readonly number[];
}

/**
 * Items of x in the order of the indices, some not at all, some several times.
 * inputs: x; indices, [M].
 * outputs: y, [M, …].
 */
export interface BatchReindex {
  readonly kind: 'batchReindex';
}

/**
 * y[b, m, n] = Σk a[b, m, k]·c[b, k, n]: products of matrices that are both computed.
 * inputs: a, [B, M, K], or [B, K, M] with transposeFirst; c, [B, K, N], or [B, N, K] with transposeSecond.
 * outputs: y, [B, M, N].
 */
export interface MatrixProduct {
  readonly kind: 'matrixProduct';
  /** B. */
  readonly batches: number;
  /** M. */
  readonly rows: number;
  /** N. */
  readonly columns: number;
  /** K. */
  readonly depth: number;
  /** a is [B, K, M]. */
  readonly transposeFirst: boolean;
  /** c is [B, N, K]. */
  readonly transposeSecond: boolean;
}

/**
 * The row of the weights that each index names, truncated to an integer, and the bias.
 * inputs: indices.
 * outputs: y, [indices…, N].
 */
export interface Embed {
  readonly kind: 'embed';
  /** [K, N] */
  readonly weights: ProgramParameterId;
  /** [N] */
  readonly bias: ProgramParameterId | null;
  /** K: indices are from 0 to below it. */
  readonly inputDim: number;
  /** N. */
  readonly numOutput: number;
}

/**
 * A learnable blob as a tensor.
 * inputs: none.
 * outputs: y, of its shape.
 */
export interface ParameterBlob {
  readonly kind: 'parameter';
  /** that of y */
  readonly blob: ProgramParameterId;
}

/**
 * Its first input; what it reads is kept in parameters for the next run.
 * inputs: x; or x and another value to be kept.
 * outputs: y, of the shape of x.
 */
export interface Remember {
  readonly kind: 'remember';
  /** Becomes x. that of x */
  readonly first: ProgramParameterId;
  /** Becomes the second input. that of the second input */
  readonly second: ProgramParameterId | null;
}

/**
 * A value of each window, drawn in proportion to the values, which are not negative; or, without drawing,
 * their mean weighted by themselves, Σx²/Σx. What is drawn is a function of seed, stream, rank, iteration,
 * pass and place alone, as dropout's is.
 * inputs: x, N×C×H×W; where it draws also the pass, [iteration, pass of the iteration].
 * outputs: y.
 */
export interface StochasticPooling {
  readonly kind: 'stochasticPooling';
  /** The window size. */
  readonly kernel: Pair;
  /** The distance between neighbouring windows. */
  readonly stride: Pair;
  /** Phase TRAIN. */
  readonly draws: boolean;
  /** The net's random_seed. */
  readonly seed: number;
  /** Which of the layers that draw. */
  readonly stream: number;
  /** Of the processes that train together. */
  readonly rank: number;
}

/**
 * scale · x / √(Σx² + eps), the sum over all values of an item or over its channels at each place; the scale
 * is one, or one a channel. Its gradient is the one of SSD, which multiplies by the scale last.
 * inputs: x, [N, C, …].
 * outputs: y, of the shape of x.
 */
export interface Normalize {
  readonly kind: 'normalize';
  /** [1] or [C] */
  readonly scale: ProgramParameterId;
  /** The sum is over all of an item. */
  readonly acrossSpatial: boolean;
  /** One scale for all channels. */
  readonly channelShared: boolean;
  /** Added to the sum. */
  readonly eps: number;
}

/**
 * scale · (x − mean) / √(variance + eps) + shift over axis 1, with the mean and the biased variance of the
 * batch. Where it has running statistics, they become momentum · running + (1 − momentum) · of the batch.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Bn {
  readonly kind: 'bn';
  /** [C] */
  readonly scale: ProgramParameterId;
  /** [C] */
  readonly shift: ProgramParameterId;
  /** Running. [C] */
  readonly mean: ProgramParameterId | null;
  /** Running. [C] */
  readonly variance: ProgramParameterId | null;
  /** Added to the variance. */
  readonly eps: number;
  /** What stays of the running statistics. */
  readonly momentum: number;
  /** False where a forward pass is computed again. */
  readonly update: boolean;
}

/**
 * Planes of another size. aligned, asymmetric, halfPixel: bilinear, with the corners on the corners, the
 * first corner on the first, or the middles of pixels on those of others; nearest: the value at the place
 * times the ratio of the sizes, rounded down.
 * inputs: x, N×C×H×W.
 * outputs: y, N×C×….
 */
export interface Resize {
  readonly kind: 'resize';
  /** What a value becomes. */
  readonly method: 'aligned' | 'nearest' | 'asymmetric' | 'halfPixel';
}

/**
 * x between its places: at each place of y the bilinear mean of the four of x around a point, in pixels of
 * x.
 * inputs: x, N×C×H×W; points, N×2×H′×W′: x, y.
 * outputs: y, N×C×H′×W′.
 */
export interface BilinearSample {
  readonly kind: 'bilinearSample';
  /** Points are counted from the place itself. */
  readonly relative: boolean;
  /** What is 0: neighbours outside of x; or points outside of its first and last pixels; or points before the first pixel and from one behind the last on, where the last pixel stands for what is behind it. */
  readonly outside: 'neighbours' | 'points' | 'beyond';
  /** What the gradient takes for the slope at a pixel itself: that to the next pixel; the mean of those to both sides, 0 where there is none; or the value of the pixel. */
  readonly slope: 'right' | 'mean' | 'pixel';
}

/**
 * Planes from right to left, from bottom to top, or both.
 * inputs: x, N×C×H×W.
 * outputs: y, of the shape of x.
 */
export interface Flip {
  readonly kind: 'flip';
  /** Bottom to top. */
  readonly height: boolean;
  /** Right to left. */
  readonly width: boolean;
}

/**
 * x, or 0 where its magnitude is not above the threshold, if that is above 0. Its gradient is dy +
 * coefficient · the sign of x: a penalty on the magnitudes, which is no loss of its own.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Sparsify {
  readonly kind: 'sparsify';
  /** What counts as 0. */
  readonly threshold: number;
  /** Of the penalty. */
  readonly coefficient: number;
}

/**
 * The second input of a recurrent layer whose sequences all begin in the first row: 0 there, 1 behind it.
 * inputs: none.
 * outputs: y, [T, N].
 */
export interface Continuation {
  readonly kind: 'continuation';
}

/**
 * What a function of the process's own makes of copies of the inputs: a layer that is written in JavaScript.
 * inputs: any.
 * outputs: any.
 */
export interface HostFunction {
  readonly kind: 'hostFunction';
  /** Of the program's functions. */
  readonly index: number;
}

/**
 * The values of x where the mask says, the others 0; of several at one place the last.
 * inputs: x, N×C×H×W; a mask, of as many values: each the index in its plane of y.
 * outputs: y, N×C×….
 */
export interface Unpool {
  readonly kind: 'unpool';
}

/**
 * Boxes around the cells of a feature map, [x1, y1, x2, y2] as shares of an image; behind them the variances
 * of each.
 * inputs: none.
 * outputs: y, [1, 2, height · width · boxes · 4].
 */
export interface PriorBoxes {
  readonly kind: 'priorBoxes';
  /** Of the boxes of a cell, in pixels; 64 at most. */
  readonly widths: readonly number[];
  /** As many. */
  readonly heights: readonly number[];
  /** Four. */
  readonly variances: readonly number[];
  /** Of the feature map. */
  readonly height: number;
  /** Of the feature map. */
  readonly width: number;
  /** In pixels. */
  readonly imageHeight: number;
  /** In pixels. */
  readonly imageWidth: number;
  /** From one cell to the next. */
  readonly stepHeight: number;
  /** From one cell to the next. */
  readonly stepWidth: number;
  /** Of a box's centre in its cell. */
  readonly offset: number;
  /** Boxes end at the image. */
  readonly clip: boolean;
}

/**
 * Decodes the boxes, drops those that overlap better ones of their class (non-maximum suppression) and keeps
 * the best of each image. Rows that no detection takes are −1; where there is none at all, row i is image i
 * and −1.
 * inputs: locations, [N, priors · L · 4], L 1 or classes; scores, [N, priors · classes]; priors, [1, 2,
 * priors · 4].
 * outputs: rows, [1, 1, most, 7]: image, class, score, x1, y1, x2, y2.
 */
export interface DetectionOutput {
  readonly kind: 'detectionOutput';
  /** How many. */
  readonly classes: number;
  /** The class that is none; −1: all are. */
  readonly background: number;
  /** One box for all classes. */
  readonly shareLocation: boolean;
  /** What locations say. */
  readonly code: 'corner' | 'centerSize' | 'cornerSize';
  /** Locations are not multiplied by the variances. */
  readonly varianceInTarget: boolean;
  /** Boxes end at the image. */
  readonly clip: boolean;
  /** Scores must be above it. */
  readonly scoreThreshold: number;
  /** The largest overlap that is kept. */
  readonly nmsThreshold: number;
  /** The threshold is multiplied by it after each box while it is above 0.5. */
  readonly eta: number;
  /** Of each class before boxes are dropped. */
  readonly topK: number | null;
  /** Of each image. */
  readonly keepTopK: number | null;
}

/**
 * Regions of interest: anchors moved by the deltas, cut at the image, those that are too small dropped, then
 * by score, without those that overlap better ones. Rows that no region takes are −1.
 * inputs: scores, [1, 2·A, H, W], of objects behind those of background; deltas, [1, 4·A, H, W]; the image,
 * [height, width, scale, …].
 * outputs: regions, [most, 5]: 0, x1, y1, x2, y2; or these and their scores, [most, 1].
 */
export interface Proposal {
  readonly kind: 'proposal';
  /** A times x1, y1, x2, y2, in pixels; 64 at most. */
  readonly anchors: readonly number[];
  /** Pixels from one cell to the next. */
  readonly stride: number;
  /** In pixels of the image as it was; times its scale. */
  readonly minSize: number;
  /** How many of the best are compared. */
  readonly beforeNms: number;
  /** The largest overlap that is kept. */
  readonly nmsThreshold: number;
}

/**
 * The maximum of each bin of each region; an empty bin is 0. A region of image −1 is none: 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiPooling {
  readonly kind: 'roiPooling';
  /** Of regions, to those of x. */
  readonly spatialScale: number;
}

/**
 * The mean of each bin of each region, of a channel of its own: (out · group + row) · group + column. An
 * empty bin is 0. A region of image −1 is none: 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C/group², group, group].
 */
export interface PsRoiPooling {
  readonly kind: 'psRoiPooling';
  /** Of regions, to those of x. */
  readonly spatialScale: number;
  /** Bins along a side. */
  readonly group: number;
}

/**
 * Bilinear samples of regions: one at each corner of their bins; the mean of those within a bin,
 * samplingRatio along a side (0: as many as a bin has pixels, rounded up); or the largest of four sums over
 * the first four pixels of a bin. A region of image −1 is none: 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiAlign {
  readonly kind: 'roiAlign';
  /** Of regions, to those of x. */
  readonly spatialScale: number;
  /** Which of the layers of this name. */
  readonly form: 'corners' | 'maximum' | 'mean';
  /** Of mean; 256 at most. */
  readonly samplingRatio: number;
  /** Of mean: half a pixel is taken off, and a region may be smaller than one. */
  readonly aligned: boolean;
}

/**
 * RoiPooling of a region that is scaled about its centre or cut to a half, in which the values of a scaled
 * region count as 0. A region of image −1 is none: 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiMaskPooling {
  readonly kind: 'roiMaskPooling';
  /** Of regions, to those of x. */
  readonly spatialScale: number;
  /** Added behind it. */
  readonly shift: number;
  /** Which half. */
  readonly part: 'whole' | 'left' | 'right' | 'top' | 'bottom';
  /** Of the region. */
  readonly regionScale: number;
  /** Of what counts as 0; 0: nothing does. */
  readonly maskScale: number;
}

/**
 * The sum of outside · f(inside · (a − b)) over a number, f(d) = σ²d²/2 where |d| < 1/σ², else |d| − 0.5/σ².
 * inputs: a; b; or these and inside; or these, inside and outside; each of as many values.
 * outputs: the loss, one value; or it and the sum at each place, [outer, inner].
 */
export interface SmoothL1Loss {
  readonly kind: 'smoothL1Loss';
  /** σ. */
  readonly sigma: number;
  /** What the sum is divided by. */
  readonly divisor: number;
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
}

/**
 * The loss of a detector (SSD): priors are matched with the boxes of an image, hard ones are chosen among
 * the others, and the losses of their scores and, where they match, of their locations are summed. Its
 * gradient by locations is the one of SSD, which leaves the variances out of account where they stand in the
 * target.
 * inputs: locations, [N, priors · L · 4], L 1 or classes; scores, [N, priors · classes]; priors, [1, 2,
 * priors · 4]; boxes, [K, 8]: image (−1: none), class, instance, x1, y1, x2, y2, difficult.
 * outputs: the loss, one value.
 */
export interface MultiBoxLoss {
  readonly kind: 'multiBoxLoss';
  /** How many. */
  readonly classes: number;
  /** The class that is none. */
  readonly background: number;
  /** One box for all classes. */
  readonly shareLocation: boolean;
  /** All classes are background + 1. */
  readonly agnostic: boolean;
  /** What locations say. */
  readonly code: 'corner' | 'centerSize' | 'cornerSize';
  /** Variances divide both the locations and what they should be. */
  readonly varianceInTarget: boolean;
  /** Of locations. */
  readonly locLoss: 'smoothL1' | 'l2';
  /** Of scores. */
  readonly confLoss: 'softmax' | 'logistic';
  /** Of the loss of locations. */
  readonly locWeight: number;
  /** Of the loss of scores. */
  readonly confWeight: number;
  /** A prior that no box claims first matches the box that it overlaps most, by overlapThreshold at least. */
  readonly perPrediction: boolean;
  /** An overlap that is a match. */
  readonly overlapThreshold: number;
  /** Priors are matched, rather than the boxes that locations say. */
  readonly priorsMatch: boolean;
  /** What reaches beyond the image is no match, and no negative that is mined. */
  readonly ignoresCrossing: boolean;
  /** Sides beyond the image have no loss. */
  readonly insideOnly: boolean;
  /** Boxes that are difficult count. */
  readonly usesDifficult: boolean;
  /** Which priors count: all; matches and the worst negatives; the worst of all. */
  readonly mining: 'none' | 'maxNegative' | 'hardExample';
  /** Of maxNegative. */
  readonly negativesPerMatch: number;
  /** Of maxNegative: negatives overlap every box by less. */
  readonly negativeOverlap: number;
  /** Of hardExample, in each image. */
  readonly sampleSize: number;
  /** What is mined overlaps nothing worse by more. */
  readonly nmsThreshold: number | null;
  /** How many are compared. */
  readonly nmsTopK: number | null;
  /** It is the priors that must not overlap, rather than what locations say. */
  readonly nmsByPriors: boolean;
  /** What the sum is divided by: all priors, those that match, images, or 1. */
  readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
}

/**
 * −ln(max(p[label], FLT_MIN)) at each place, p the softmax of the scores; 0 where the label is ignored.
 * inputs: scores; labels, [outer, inner].
 * outputs: losses, [outer, inner].
 */
export interface PlaceLosses {
  readonly kind: 'placeLosses';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Positions with this label do not count. */
  readonly ignoreLabel: number | null;
}

/**
 * Of the regions of each image those of the largest losses keep their labels and weights; the others get the
 * ignored label and weights of 0. Of equal losses the first region counts as larger.
 * inputs: regions, [R, 5]: image, x1, y1, x2, y2; losses, [R]; labels, [R]; weights, [R, channels].
 * outputs: labels, [R]; weights, [R, channels].
 */
export interface BoxAnnotatorOhem {
  readonly kind: 'boxAnnotatorOhem';
  /** How many regions of an image are kept. */
  readonly perImage: number;
  /** The label of the others. */
  readonly ignoreLabel: number;
  /** Weights of a region. */
  readonly channels: number;
}

/**
 * Of the class with the highest score against the label, over all places: the share that is right, the mean
 * share over the classes that occur, and the mean over union. Counts of earlier batches are added.
 * inputs: scores; labels, [outer, inner]; or these and the counts so far.
 * outputs: the three shares; the counts, [channels, channels]: label, class.
 */
export interface SegmentationAccuracy {
  readonly kind: 'segmentationAccuracy';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Places with these labels do not count; 64 at most. */
  readonly ignored: readonly number[];
}

/**
 * The topK largest along the channels, the largest first; of equal ones the later channel comes first.
 * inputs: x.
 * outputs: y, [outer, topK, inner], or [outer, 2, topK, inner] with both.
 */
export interface ArgMax {
  readonly kind: 'argMax';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** How many. */
  readonly topK: number;
  /** What is put out. */
  readonly what: 'indices' | 'values' | 'both';
}

/**
 * coefficient · the sum of the values of each row, of their magnitudes, or of their squares.
 * inputs: x, [outer, inner].
 * outputs: y, [outer].
 */
export interface Reduction {
  readonly kind: 'reduction';
  /** What is summed. */
  readonly method: 'sum' | 'asum' | 'sumsq';
  /** Of the sum. */
  readonly coefficient: number;
  /** Rows. */
  readonly outer: number;
  /** Values of a row. */
  readonly inner: number;
}

/**
 * (x − mean) / (√variance + eps) of each row, the variance biased; or x − mean. Its gradient is Caffe's,
 * which leaves eps out of account.
 * inputs: x, [outer, inner].
 * outputs: y, as many values.
 */
export interface Mvn {
  readonly kind: 'mvn';
  /** Rows. */
  readonly outer: number;
  /** Values of a row. */
  readonly inner: number;
  /** Whether it divides. */
  readonly normalizeVariance: boolean;
  /** Added to the deviation. */
  readonly eps: number;
}

/**
 * The mean of −Σₗ H[label, l] · ln(max(pₗ, 1e-20)), p the softmax of the scores.
 * inputs: scores; labels, [outer, inner]; H, [channels, channels].
 * outputs: the loss, one value.
 */
export interface InfogainLoss {
  readonly kind: 'infogainLoss';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Positions with this label do not count. */
  readonly ignoreLabel: number | null;
  /** The divisor of the sum: the number of all positions, of those that count, outer, or 1. */
  readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
}

/**
 * The mean of −t·ln σ(x) − (1 − t)·ln(1 − σ(x)). A target is truncated before it is compared with
 * ignoreLabel.
 * inputs: x; targets, as many.
 * outputs: the loss, one value.
 */
export interface SigmoidCrossEntropyLoss {
  readonly kind: 'sigmoidCrossEntropyLoss';
  /** The first dimension of x. */
  readonly outer: number;
  /** Positions with this label do not count. */
  readonly ignoreLabel: number | null;
  /** The divisor of the sum: the number of all positions, of those that count, outer, or 1. */
  readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
}

/**
 * −Σ ln(max(p[label], 1e-20)) / outer.
 * inputs: probabilities, [outer, channels]; labels, [outer].
 * outputs: the loss, one value.
 */
export interface MultinomialLogisticLoss {
  readonly kind: 'multinomialLogisticLoss';
  /** Items. */
  readonly outer: number;
  /** Classes. */
  readonly channels: number;
}

/**
 * Σ max(0, 1 ± x) / outer, or of the squares: − for the class of the label, + for the others.
 * inputs: scores, [outer, channels]; labels, [outer].
 * outputs: the loss, one value.
 */
export interface HingeLoss {
  readonly kind: 'hingeLoss';
  /** Items. */
  readonly outer: number;
  /** Classes. */
  readonly channels: number;
  /** Of the margins. */
  readonly norm: 'L1' | 'L2';
}

/**
 * Σ / (2·outer) of d² for a pair with a label that is not 0 (truncated), else max(margin − d, 0)², or
 * max(margin − d², 0) in the legacy version; d is the distance of a and b.
 * inputs: a, [outer, channels]; b, alike; labels, [outer].
 * outputs: the loss, one value.
 */
export interface ContrastiveLoss {
  readonly kind: 'contrastiveLoss';
  /** Pairs. */
  readonly outer: number;
  /** Values of each. */
  readonly channels: number;
  /** Caffe's margin. */
  readonly margin: number;
  /** Caffe's legacy_version. */
  readonly legacy: boolean;
}

/**
 * c = cont·σ(f)·c₋₁ + σ(i)·tanh(g), h = σ(o)·tanh(c).
 * inputs: c₋₁, [1, N, D]; the gates i, f, o, g, [1, N, 4·D]; cont, [1, N].
 * outputs: c; h, each of the shape of c₋₁.
 */
export interface LstmUnit {
  readonly kind: 'lstmUnit';
}

/**
 * The gradient of an operation. An id of −1 stands for a tensor that is not there.
 * inputs: what that operation read (or the same, computed again), what it made, and the diffs of what it
 * made; each −1 where it is not needed or has none. Of a BatchNorm over batch statistics perhaps the two
 * sums that sumBehindRelu has made besides.
 * outputs: the diffs of that operation's inputs, then of its parameters that learn, a place for each whether
 * it is there or not; −1 where nobody asks. Of a convolution with 1×1 windows and no padding, that of its
 * input may have the places alone that the windows see.
 */
export interface Gradient {
  readonly kind: 'gradient';
  /** Index of the operation. */
  readonly of: number;
}

/**
 * Each input's mean over all processes that train together; this process's own values where there are no
 * others.
 * inputs: diffs, −1 where there is none.
 * outputs: one an input, made in its memory where the device can; −1 where it is not there.
 */
export interface AllMean {
  readonly kind: 'allMean';
}

/**
 * Caffe's SGDSolver::ApplyUpdate over all learnable parameters, in place: clip, normalise, regularise, rule.
 * `first` ≠ 0 empties the accumulators before the diffs are added, `last` = 0 ends after that; a parameter
 * without an accumulator needs both set. Where a loss is not finite nothing is updated (Caffe would make
 * every weight NaN): so the weights are still there that the fault can be looked for with.
 * inputs: the schedule [rate, iteration from 0, first, last, the loss scale: diffs, and what accumulates,
 * are so many times what they should be]; one diff a parameter (−1: it has none and counts as 0); losses.
 * outputs: none; or one [1] that is 1 where the last pass's diffs (accumulated ones together) are not
 * finite, which updates nothing then, else 0.
 */
export interface Update {
  readonly kind: 'update';
  /** Caffe's solver type, or an extension beside them. */
  readonly rule: 'sgd' | 'nesterov' | 'adagrad' | 'rmsprop' | 'adadelta' | 'adam' | 'adamw' | 'lars';
  /** Caffe's momentum. */
  readonly momentum: number;
  /** Adam's. */
  readonly momentum2: number;
  /** With sgd: the history is a mean of gradients, momentum · h + (1 − momentum) · g, and w loses rate · h; h begins as the first gradient, as in Torch's optim.sgd. */
  readonly dampened: boolean;
  /** LARS's coefficient of ‖w‖ / (‖g‖ + decay · ‖w‖). */
  readonly trust: number;
  /** Averages become averageDecay · average + (1 − averageDecay) · w after each update. */
  readonly averageDecay: number;
  /** Added to roots. */
  readonly delta: number;
  /** RMSProp's. */
  readonly rmsDecay: number;
  /** The greatest L2 norm of all diffs together. */
  readonly clipGradients: number | null;
  /** How many passes an iteration sums. */
  readonly iterSize: number;
  /** Caffe's weight_decay. */
  readonly weightDecay: number;
  /** Caffe's regularization_type. */
  readonly regularization: 'L1' | 'L2';
  /** All that learn. */
  readonly parameters: readonly UpdatedParameter[];
}

/** What one operation computes. */
export type OperationAttributes =
  | Convolution
  | InnerProduct
  | Scale
  | BatchNorm
  | Relu
  | Elu
  | Sigmoid
  | Tanh
  | AbsVal
  | Power
  | Bnll
  | Clip
  | Exp
  | Log
  | Threshold
  | Swish
  | Mish
  | HardSwish
  | PRelu
  | Dropout
  | Eltwise
  | SumBehindRelu
  | Pooling
  | Softmax
  | SoftmaxLoss
  | EuclideanLoss
  | Accuracy
  | Concat
  | Slice
  | Reshape
  | Lrn
  | Deconvolution
  | Crop
  | Permute
  | Im2col
  | BatchReindex
  | MatrixProduct
  | Embed
  | ParameterBlob
  | Remember
  | StochasticPooling
  | Normalize
  | Bn
  | Resize
  | BilinearSample
  | Flip
  | Sparsify
  | Continuation
  | HostFunction
  | Unpool
  | PriorBoxes
  | DetectionOutput
  | Proposal
  | RoiPooling
  | PsRoiPooling
  | RoiAlign
  | RoiMaskPooling
  | SmoothL1Loss
  | MultiBoxLoss
  | PlaceLosses
  | BoxAnnotatorOhem
  | SegmentationAccuracy
  | ArgMax
  | Reduction
  | Mvn
  | InfogainLoss
  | SigmoidCrossEntropyLoss
  | MultinomialLogisticLoss
  | HingeLoss
  | ContrastiveLoss
  | LstmUnit
  | Gradient
  | AllMean
  | Update;
