/** Written by `npm run generate` from ts/operations/schema.ts; not to be edited by hand. */

export type TensorId = number;
export type ProgramParameterId = number;

export type Pair = readonly [height: number, width: number];

/** y = max(x, 0) + negativeSlope · min(x, 0), as the last step of another operation. */
export interface FusedRelu {
  readonly negativeSlope: number;
}

/**
 * All learnable parameters.
 */
export interface UpdatedParameter {
  /** The parameter that is updated, of any shape. */
  readonly parameter: ProgramParameterId;
  /** The solver's history, of the shape of the parameter: two blobs for Adam, AdamW and AdaDelta, else one. */
  readonly history: readonly ProgramParameterId[];
  /** The sum of the diffs of `iterSize` runs, of the shape of the parameter. */
  readonly accumulator: ProgramParameterId | null;
  /** The moving average of the parameter, of the shape of the parameter. */
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
  /** A PReLU as the last step, instead of a ReLU: its slopes for values below 0, [num_output], or [1]. */
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
  /** N, the number of outputs. */
  readonly numOutput: number;
  /** Whether the weights are [K, N]. */
  readonly transpose: boolean;
  /** A ReLU as the last step. */
  readonly relu: FusedRelu | null;
  /** A Clip to [0, clip] as the last step, instead of a ReLU. ReLU6 clips to 6. */
  readonly clip: number | null;
  /** A PReLU as the last step, instead of a ReLU: its slopes for values below 0, [num_output], or [1]. */
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
  /** The running sum of means, [C]. */
  readonly mean: ProgramParameterId;
  /** The running sum of unbiased variances, [C]. */
  readonly variance: ProgramParameterId;
  /** The divisor of both sums (if it is 0, the statistics are 0), [1]. */
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
 * The region of x that has the size of y.
 * inputs: x.
 * outputs: y, with as many axes as x; 8 at most.
 */
export interface Crop {
  readonly kind: 'crop';
  /** The start of the region along each axis. */
  readonly offset: readonly number[];
}

/**
 * x with its axes in another order: axis i of y is axis order[i] of x.
 * inputs: x.
 * outputs: y, with as many axes as x; 8 at most.
 */
export interface Permute {
  readonly kind: 'permute';
  /** Every axis of x, once. */
  readonly order: readonly number[];
}

/**
 * The windows of an image as columns, [outer, channels · Πkernel, windows…]. With toImage it is the
 * transpose of this: each value of the image is the sum of the column values that belong to it.
 * inputs: an image, [outer, channels, size…]; or columns.
 * outputs: columns; or an image.
 */
export interface Im2col {
  readonly kind: 'im2col';
  /** Whether it turns columns into an image. */
  readonly toImage: boolean;
  /** The product of the dimensions before the channels. */
  readonly outer: number;
  /** The channels of the image. */
  readonly channels: number;
  /** The sizes of the image's spatial axes; 6 axes at most. */
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
 * The items of x that the indices name, in their order. An item may be named several times or not at all.
 * inputs: x; indices, [M].
 * outputs: y, [M, …].
 */
export interface BatchReindex {
  readonly kind: 'batchReindex';
}

/**
 * y[b, m, n] = Σk a[b, m, k]·c[b, k, n], where the net computes both matrices.
 * inputs: a, [B, M, K], or [B, K, M] with transposeFirst; c, [B, K, N], or [B, N, K] with transposeSecond.
 * outputs: y, [B, M, N].
 */
export interface MatrixProduct {
  readonly kind: 'matrixProduct';
  /** B, the number of products. */
  readonly batches: number;
  /** M, the number of rows of y. */
  readonly rows: number;
  /** N, the number of columns of y. */
  readonly columns: number;
  /** K, the number of terms of each sum. */
  readonly depth: number;
  /** Whether a is [B, K, M]. */
  readonly transposeFirst: boolean;
  /** Whether c is [B, N, K]. */
  readonly transposeSecond: boolean;
}

/**
 * For each index, truncated to an integer, the row of the weights that it names, plus the bias.
 * inputs: indices.
 * outputs: y, [indices…, N].
 */
export interface Embed {
  readonly kind: 'embed';
  /** [K, N] */
  readonly weights: ProgramParameterId;
  /** [N] */
  readonly bias: ProgramParameterId | null;
  /** K, the number of rows of the weights. Indices are at least 0 and less than K. */
  readonly inputDim: number;
  /** N, the number of outputs. */
  readonly numOutput: number;
}

/**
 * A learnable blob as a tensor.
 * inputs: none.
 * outputs: y, of the shape of the blob.
 */
export interface ParameterBlob {
  readonly kind: 'parameter';
  /** of the shape of y */
  readonly blob: ProgramParameterId;
}

/**
 * Returns its first input, and stores all its inputs in parameters for the next run.
 * inputs: x; or x and another tensor to be stored.
 * outputs: y, of the shape of x.
 */
export interface Remember {
  readonly kind: 'remember';
  /** Stores x, of the shape of x. */
  readonly first: ProgramParameterId;
  /** Stores the second input, of the shape of the second input. */
  readonly second: ProgramParameterId | null;
}

/**
 * Draws a value of each window, with a probability proportional to the value; no value is negative. Without
 * drawing it is Σx²/Σx, the mean of the values weighted by themselves. As for dropout, the choice depends
 * only on seed, stream, rank, iteration, pass and position.
 * inputs: x, N×C×H×W; if it draws, also the pass, [iteration, pass within the iteration].
 * outputs: y.
 */
export interface StochasticPooling {
  readonly kind: 'stochasticPooling';
  /** The window size. */
  readonly kernel: Pair;
  /** The distance between neighbouring windows. */
  readonly stride: Pair;
  /** Whether it draws, as in phase TRAIN. */
  readonly draws: boolean;
  /** The net's random_seed. */
  readonly seed: number;
  /** The index of this operation among those of the net that draw. */
  readonly stream: number;
  /** The rank of this process among those that train together. */
  readonly rank: number;
}

/**
 * scale · x / √(Σx² + eps), with the sum over all values of an item, or over its channels at each position.
 * There is one scale, or one per channel. The gradient is that of SSD, which multiplies by the scale last.
 * inputs: x, [N, C, …].
 * outputs: y, of the shape of x.
 */
export interface Normalize {
  readonly kind: 'normalize';
  /** [1] or [C] */
  readonly scale: ProgramParameterId;
  /** Whether the sum is over all values of an item. */
  readonly acrossSpatial: boolean;
  /** Whether all channels share one scale. */
  readonly channelShared: boolean;
  /** Added to the sum. */
  readonly eps: number;
}

/**
 * scale · (x − mean) / √(variance + eps) + shift over axis 1, with the mean and the biased variance of the
 * batch. If it has running statistics, they become momentum · running + (1 − momentum) · those of the batch.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Bn {
  readonly kind: 'bn';
  /** [C] */
  readonly scale: ProgramParameterId;
  /** [C] */
  readonly shift: ProgramParameterId;
  /** The running mean, [C]. */
  readonly mean: ProgramParameterId | null;
  /** The running variance, [C]. */
  readonly variance: ProgramParameterId | null;
  /** Added to the variance. */
  readonly eps: number;
  /** The factor of the running statistics when they are updated. */
  readonly momentum: number;
  /** Whether running statistics are updated. False when a forward pass is computed again. */
  readonly update: boolean;
}

/**
 * Resizes planes. `nearest` takes the value at the position times the ratio of the sizes, rounded down. The
 * others are bilinear: `aligned` maps corners to corners, `asymmetric` the first corner to the first, and
 * `halfPixel` places the centres of pixels at halves.
 * inputs: x, N×C×H×W.
 * outputs: y, N×C×….
 */
export interface Resize {
  readonly kind: 'resize';
  /** The kind of interpolation. */
  readonly method: 'aligned' | 'nearest' | 'asymmetric' | 'halfPixel';
}

/**
 * Samples x: each value of y is interpolated bilinearly from the four pixels of x around a point.
 * inputs: x, N×C×H×W; points, N×2×H′×W′: x, y, in pixels of x.
 * outputs: y, N×C×H′×W′.
 */
export interface BilinearSample {
  readonly kind: 'bilinearSample';
  /** Whether points are relative to their own positions. */
  readonly relative: boolean;
  /** What counts as 0. `neighbours`: pixels outside x. `points`: samples before the first pixel or after the last one. `beyond`: samples before the first pixel, or at least one pixel after the last one; the last pixel is repeated up to there. */
  readonly outside: 'neighbours' | 'points' | 'beyond';
  /** The slope that the gradient uses if a point lies exactly on a pixel. `right`: the slope to the next pixel. `mean`: the mean of the slopes on both sides, each 0 if there is no pixel. `pixel`: the value of the pixel. */
  readonly slope: 'right' | 'mean' | 'pixel';
}

/**
 * Reverses the columns of planes, their rows, or both.
 * inputs: x, N×C×H×W.
 * outputs: y, of the shape of x.
 */
export interface Flip {
  readonly kind: 'flip';
  /** Whether the order of the rows is reversed. */
  readonly height: boolean;
  /** Whether the order of the columns is reversed. */
  readonly width: boolean;
}

/**
 * x, or 0 where |x| does not exceed the threshold, if the threshold is positive. The gradient is dy +
 * coefficient · sign(x): a penalty on |x| that does not appear as a loss.
 * inputs: x.
 * outputs: y, of the shape of x.
 */
export interface Sparsify {
  readonly kind: 'sparsify';
  /** The largest magnitude that becomes 0. */
  readonly threshold: number;
  /** The factor of the penalty. */
  readonly coefficient: number;
}

/**
 * The second input of a recurrent layer whose sequences all begin in the first row: 0 there, 1 in all later
 * rows.
 * inputs: none.
 * outputs: y, [T, N].
 */
export interface Continuation {
  readonly kind: 'continuation';
}

/**
 * Calls a function of the process with copies of the inputs: a layer that is written in JavaScript.
 * inputs: any.
 * outputs: any.
 */
export interface HostFunction {
  readonly kind: 'hostFunction';
  /** The index of the function among those of the program. */
  readonly index: number;
}

/**
 * Puts each value of x at the position that the mask gives. All other values of y are 0; of several values,
 * the last wins.
 * inputs: x, N×C×H×W; a mask with as many values, each an index in its plane of y.
 * outputs: y, N×C×….
 */
export interface Unpool {
  readonly kind: 'unpool';
}

/**
 * Boxes around the cells of a feature map, [x1, y1, x2, y2] as fractions of the image, followed by their
 * variances.
 * inputs: none.
 * outputs: y, [1, 2, height · width · boxes · 4].
 */
export interface PriorBoxes {
  readonly kind: 'priorBoxes';
  /** The widths of the boxes of a cell, in pixels; 64 at most. */
  readonly widths: readonly number[];
  /** The heights of the same boxes, in pixels. */
  readonly heights: readonly number[];
  /** How far the centres of the same boxes are to the right of the cell's, in pixels. */
  readonly xs: readonly number[];
  /** How far they are below the cell's centre, in pixels. */
  readonly ys: readonly number[];
  /** The four variances of every box. */
  readonly variances: readonly number[];
  /** The height of the feature map. */
  readonly height: number;
  /** The width of the feature map. */
  readonly width: number;
  /** The height of the image, in pixels. */
  readonly imageHeight: number;
  /** The width of the image, in pixels. */
  readonly imageWidth: number;
  /** The vertical distance between cells, in pixels. */
  readonly stepHeight: number;
  /** The horizontal distance between cells, in pixels. */
  readonly stepWidth: number;
  /** The position of a box's centre in its cell, as a fraction of the step. */
  readonly offset: number;
  /** Whether boxes are clipped to the image. */
  readonly clip: boolean;
}

/**
 * Decodes boxes, drops those that overlap better ones of their class (non-maximum suppression) and keeps the
 * best of each image. Rows without a detection are −1. Without any detection, row i holds image i, and −1 in
 * the other columns.
 * inputs: locations, [N, priors · L · 4], where L is 1 or classes; scores, [N, priors · classes]; priors,
 * [1, 2, priors · 4].
 * outputs: rows, [1, 1, most, 7]: image, class, score, x1, y1, x2, y2.
 */
export interface DetectionOutput {
  readonly kind: 'detectionOutput';
  /** The number of classes. */
  readonly classes: number;
  /** The class of the background; −1 if there is none. */
  readonly background: number;
  /** Whether all classes share one box. */
  readonly shareLocation: boolean;
  /** How locations encode boxes. */
  readonly code: 'corner' | 'centerSize' | 'cornerSize';
  /** Whether locations are decoded without the variances. If false, they are multiplied by them. */
  readonly varianceInTarget: boolean;
  /** Whether boxes are clipped to the image. */
  readonly clip: boolean;
  /** The score that a detection must exceed. */
  readonly scoreThreshold: number;
  /** The largest overlap of two boxes that are both kept. */
  readonly nmsThreshold: number;
  /** The factor of nmsThreshold after each box that is kept, as long as the threshold is above 0.5. */
  readonly eta: number;
  /** How many of the best boxes of each class are considered; all if null. */
  readonly topK: number | null;
  /** How many detections of each image are kept; all if null. */
  readonly keepTopK: number | null;
}

/**
 * Computes regions of interest: moves anchors by the deltas, clips them to the image, drops small ones,
 * sorts them by score and drops those that overlap better ones. Rows without a region are −1.
 * inputs: scores, [1, 2·A, H, W], first of background, then of objects; deltas, [1, 4·A, H, W]; the image,
 * [height, width, scale, …].
 * outputs: regions, [most, 5]: 0, x1, y1, x2, y2; or these and their scores, [most, 1].
 */
export interface Proposal {
  readonly kind: 'proposal';
  /** x1, y1, x2, y2 of each of the A anchors, in pixels; 64 anchors at most. */
  readonly anchors: readonly number[];
  /** The distance between cells, in pixels. */
  readonly stride: number;
  /** The smallest width and height of a region, in pixels of the original image. It is multiplied by the scale of the image. */
  readonly minSize: number;
  /** How many of the best regions are considered. */
  readonly beforeNms: number;
  /** The largest overlap of two regions that are both kept. */
  readonly nmsThreshold: number;
}

/**
 * The maximum of each bin of each region, or 0 for an empty bin. The bins of a region of image −1 are 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiPooling {
  readonly kind: 'roiPooling';
  /** The factor from the coordinates of regions to those of x. */
  readonly spatialScale: number;
}

/**
 * The mean of each bin of each region, or 0 for an empty bin. Each bin reads its own channel, (out · group +
 * row) · group + column. The bins of a region of image −1 are 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C/group², group, group].
 */
export interface PsRoiPooling {
  readonly kind: 'psRoiPooling';
  /** The factor from the coordinates of regions to those of x. */
  readonly spatialScale: number;
  /** The number of bins along a side. */
  readonly group: number;
}

/**
 * Samples regions bilinearly. `corners` samples each corner of the bins. `mean` averages the samples of a
 * bin, samplingRatio along a side (0: as many as it has pixels, rounded up). `maximum` takes the largest of
 * four weighted sums of a bin's first four pixels. A region of image −1 gives 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiAlign {
  readonly kind: 'roiAlign';
  /** The factor from the coordinates of regions to those of x. */
  readonly spatialScale: number;
  /** Which of the three layers of this name it computes. */
  readonly form: 'corners' | 'maximum' | 'mean';
  /** Only for mean: the number of samples along a side of a bin; 256 at most. */
  readonly samplingRatio: number;
  /** Only for mean: whether half a pixel is subtracted from coordinates, and a region may be smaller than one pixel. */
  readonly aligned: boolean;
}

/**
 * RoiPooling of a region that is scaled about its centre or cut in half. The values under a mask, which is
 * also a scaled region, are compared as 0. The bins of a region of image −1 are 0.
 * inputs: x, N×C×H×W; regions, [R, 5]: image, x1, y1, x2, y2.
 * outputs: y, [R, C, …].
 */
export interface RoiMaskPooling {
  readonly kind: 'roiMaskPooling';
  /** The factor from the coordinates of regions to those of x. */
  readonly spatialScale: number;
  /** Added to the coordinates after spatialScale. */
  readonly shift: number;
  /** The half of the region that is pooled, or the whole region. */
  readonly part: 'whole' | 'left' | 'right' | 'top' | 'bottom';
  /** The factor of the region's size. */
  readonly regionScale: number;
  /** The factor of the mask's size. If it is 0, there is no mask. */
  readonly maskScale: number;
}

/**
 * Σ outside · f(inside · (a − b)) / divisor, with f(d) = σ²d²/2 if |d| < 1/σ², else |d| − 0.5/σ².
 * inputs: a; b; or these and inside; or these, inside and outside; each with as many values.
 * outputs: the loss, one value; or this and the sum at each position, [outer, inner].
 */
export interface SmoothL1Loss {
  readonly kind: 'smoothL1Loss';
  /** σ in the formula. */
  readonly sigma: number;
  /** The divisor of the sum. */
  readonly divisor: number;
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
}

/**
 * The loss of a detector (SSD). It matches priors with the boxes of an image, chooses hard ones among the
 * others, and sums the losses of the scores of both and of the locations of matches. The gradient with
 * respect to locations is that of SSD, which ignores the variances if they are part of the target.
 * inputs: locations, [N, priors · L · 4], where L is 1 or classes; scores, [N, priors · classes]; priors, [1
 * or N, 2, priors · 4]; boxes, [K, 8]: image (−1: none), class, instance, x1, y1, x2, y2, difficult; or also
 * objects, [N, priors · 2], the probabilities of the background and of an object.
 * outputs: the loss, one value.
 */
export interface MultiBoxLoss {
  readonly kind: 'multiBoxLoss';
  /** The number of classes. */
  readonly classes: number;
  /** The class of the background. */
  readonly background: number;
  /** Whether all classes share one box. */
  readonly shareLocation: boolean;
  /** Whether all boxes have the class background + 1. */
  readonly agnostic: boolean;
  /** How locations encode boxes. */
  readonly code: 'corner' | 'centerSize' | 'cornerSize';
  /** Whether the variances divide both the locations and their targets. If false, they divide only the targets. */
  readonly varianceInTarget: boolean;
  /** The loss of locations. */
  readonly locLoss: 'smoothL1' | 'l2';
  /** The loss of scores. */
  readonly confLoss: 'softmax' | 'logistic';
  /** The weight of the loss of locations. */
  readonly locWeight: number;
  /** The weight of the loss of scores. */
  readonly confWeight: number;
  /** Whether a prior that no box has claimed matches the box that it overlaps most, if the overlap is at least overlapThreshold. */
  readonly perPrediction: boolean;
  /** The smallest overlap at which perPrediction matches a prior. */
  readonly overlapThreshold: number;
  /** Whether the priors are matched. If false, the decoded locations are. */
  readonly priorsMatch: boolean;
  /** Whether candidates that cross the edge of the image neither match a box nor are mined as negatives. */
  readonly ignoresCrossing: boolean;
  /** Whether sides beyond the image have no loss. */
  readonly insideOnly: boolean;
  /** Whether difficult boxes count. */
  readonly usesDifficult: boolean;
  /** The priors that count. `none`: all. `maxNegative`: the matches and the negatives of largest loss. `hardExample`: those of largest loss. */
  readonly mining: 'none' | 'maxNegative' | 'hardExample';
  /** Only for maxNegative: the number of negatives per match. */
  readonly negativesPerMatch: number;
  /** Only for maxNegative: the overlap with any box that a negative must stay below. */
  readonly negativeOverlap: number;
  /** Only for hardExample: the number of priors in each image. */
  readonly sampleSize: number;
  /** Only with objects: the probability that a mined prior must reach. */
  readonly leastObject: number;
  /** The largest overlap of a mined prior with a mined prior of larger loss. */
  readonly nmsThreshold: number | null;
  /** How many priors are considered; all if null. */
  readonly nmsTopK: number | null;
  /** Whether the overlap is that of the priors. If false, it is that of the decoded locations. */
  readonly nmsByPriors: boolean;
  /** The divisor of the sum: the number of all priors, of those that match, of images, or 1. */
  readonly normalization: 'full' | 'valid' | 'batchSize' | 'none';
}

/**
 * −ln(max(p[label], FLT_MIN)) at each position, where p is the softmax of the scores; 0 where the label is
 * ignored.
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
 * The regions of each image with the largest losses keep their labels and weights; the others get the
 * ignored label and weights of 0. Of equal losses, that of the first region counts as larger.
 * inputs: regions, [R, 5]: image, x1, y1, x2, y2; losses, [R]; labels, [R]; weights, [R, channels].
 * outputs: labels, [R]; weights, [R, channels].
 */
export interface BoxAnnotatorOhem {
  readonly kind: 'boxAnnotatorOhem';
  /** How many regions of an image are kept. */
  readonly perImage: number;
  /** The label of the other regions. */
  readonly ignoreLabel: number;
  /** The number of weights of a region. */
  readonly channels: number;
}

/**
 * Compares the class with the highest score to the label at all positions: the share that is right, the mean
 * share over the classes that occur, and the mean intersection over union. Counts of earlier batches are
 * added.
 * inputs: scores; labels, [outer, inner]; or these and the counts so far.
 * outputs: the three shares; the counts, [channels, channels], by label and class.
 */
export interface SegmentationAccuracy {
  readonly kind: 'segmentationAccuracy';
  /** The product of the dimensions before the axis. */
  readonly outer: number;
  /** The size of the axis. */
  readonly channels: number;
  /** The product of the dimensions after the axis. */
  readonly inner: number;
  /** Positions with these labels do not count; 64 labels at most. */
  readonly ignored: readonly number[];
}

/**
 * The topK largest values along the channels, the largest first. Of equal values, that of the later channel
 * comes first.
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
  /** The number of values. */
  readonly topK: number;
  /** Whether it returns indices, values, or both. */
  readonly what: 'indices' | 'values' | 'both';
}

/**
 * coefficient times the sum of the values of each row, of their magnitudes, or of their squares.
 * inputs: x, [outer, inner].
 * outputs: y, [outer].
 */
export interface Reduction {
  readonly kind: 'reduction';
  /** Whether values, magnitudes or squares are summed. */
  readonly method: 'sum' | 'asum' | 'sumsq';
  /** The factor of the sum. */
  readonly coefficient: number;
  /** The number of rows. */
  readonly outer: number;
  /** The number of values in a row. */
  readonly inner: number;
}

/**
 * (x − mean) / (√variance + eps) of each row, with the biased variance; or x − mean. The gradient is
 * Caffe's, which ignores eps.
 * inputs: x, [outer, inner].
 * outputs: y, with as many values.
 */
export interface Mvn {
  readonly kind: 'mvn';
  /** The number of rows. */
  readonly outer: number;
  /** The number of values in a row. */
  readonly inner: number;
  /** Whether it divides by √variance + eps. */
  readonly normalizeVariance: boolean;
  /** Added to the standard deviation. */
  readonly eps: number;
}

/**
 * The mean of −Σₗ H[label, l] · ln(max(pₗ, 1e-20)), where p is the softmax of the scores.
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
 * The mean of −t·ln σ(x) − (1 − t)·ln(1 − σ(x)). A target is truncated to an integer to be compared with
 * ignoreLabel.
 * inputs: x; targets, with as many values.
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
  /** The number of items. */
  readonly outer: number;
  /** The number of classes. */
  readonly channels: number;
}

/**
 * Σ max(0, 1 ± x) / outer, or the sum of the squares; the sign is − for the class of the label and + for the
 * others.
 * inputs: scores, [outer, channels]; labels, [outer].
 * outputs: the loss, one value.
 */
export interface HingeLoss {
  readonly kind: 'hingeLoss';
  /** The number of items. */
  readonly outer: number;
  /** The number of classes. */
  readonly channels: number;
  /** The norm of the margins. */
  readonly norm: 'L1' | 'L2';
}

/**
 * The sum over pairs, divided by 2·outer, of d² if the label, truncated, is not 0, else of max(margin − d,
 * 0)², or max(margin − d², 0) in the legacy version; d is the distance between a and b.
 * inputs: a, [outer, channels]; b, of the same shape; labels, [outer].
 * outputs: the loss, one value.
 */
export interface ContrastiveLoss {
  readonly kind: 'contrastiveLoss';
  /** The number of pairs. */
  readonly outer: number;
  /** The number of values of each item. */
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
 * The gradient of an operation. An id of −1 stands for a tensor that does not exist.
 * inputs: the inputs of that operation (or the same, computed again), its outputs, and the diffs of its
 * outputs; each is −1 if it is not needed or does not exist. For a BatchNorm over batch statistics, the two
 * sums that sumBehindRelu computes may follow.
 * outputs: the diffs of that operation's inputs, then of its learnable parameters, with a place for each
 * even if the operation lacks it; −1 where a diff is not requested. For a convolution with 1×1 windows and
 * no padding, the diff of the input may hold only the positions that the windows read.
 */
export interface Gradient {
  readonly kind: 'gradient';
  /** The index of the operation. */
  readonly of: number;
}

/**
 * The mean of each input over all processes that train together. A single process keeps its own values.
 * inputs: diffs; −1 for one that does not exist.
 * outputs: one per input, in the memory of the input if the device can; −1 if the input does not exist.
 */
export interface AllMean {
  readonly kind: 'allMean';
}

/**
 * Caffe's SGDSolver::ApplyUpdate of all learnable parameters, in place: clip, normalise, regularise, apply
 * the rule. If `first` is not 0, the accumulators are cleared before the diffs are added; if `last` is 0, it
 * ends after that. A parameter without an accumulator needs both set. If a loss is not finite, nothing is
 * updated, so that the weights that caused it can be examined (Caffe would make every weight NaN).
 * inputs: the schedule, [rate, iteration from 0, first, last, loss scale], where the loss scale is the
 * factor that the diffs and accumulators contain; one diff per parameter (−1: it has none, which counts as
 * 0); losses.
 * outputs: none; or one, [1], which is 1 if the diffs of the last pass, with the accumulated ones, are not
 * finite, so that nothing is updated; else 0.
 */
export interface Update {
  readonly kind: 'update';
  /** Caffe's solver type, or an extension, adamw or lars. */
  readonly rule: 'sgd' | 'nesterov' | 'adagrad' | 'rmsprop' | 'adadelta' | 'adam' | 'adamw' | 'lars';
  /** Caffe's momentum. */
  readonly momentum: number;
  /** Caffe's momentum2, for adam and adamw. */
  readonly momentum2: number;
  /** Only for sgd: whether the history is a mean of gradients, momentum · h + (1 − momentum) · g, of which w loses rate · h. The first history is the first gradient, as in Torch's optim.sgd. */
  readonly dampened: boolean;
  /** LARS's coefficient of ‖w‖ / (‖g‖ + decay · ‖w‖). */
  readonly trust: number;
  /** After each update, averages become averageDecay · average + (1 − averageDecay) · w. */
  readonly averageDecay: number;
  /** Added to roots. */
  readonly delta: number;
  /** Caffe's rms_decay, for rmsprop. */
  readonly rmsDecay: number;
  /** The largest L2 norm of all diffs together; if it is exceeded, the diffs are scaled down to it. */
  readonly clipGradients: number | null;
  /** The number of passes whose diffs an iteration sums. */
  readonly iterSize: number;
  /** Caffe's weight_decay. */
  readonly weightDecay: number;
  /** Caffe's regularization_type. */
  readonly regularization: 'L1' | 'L2';
  /** All learnable parameters. */
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
