// Written by `npm run generate` from ts/operations/schema.ts; not to be edited by hand.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "native/core/fields.h"
#include "native/core/one-of.h"

namespace resnode {

// All learnable parameters.
struct UpdatedParameter {
  ParameterId parameter = -1;  // of any shape
  std::vector<ParameterId> history;
  std::optional<ParameterId> accumulator;  // of the shape of the parameter
  std::optional<ParameterId> average;  // of the shape of the parameter
  float lrMult = 1;
  float decayMult = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"parameter", Role::parameter}, self.parameter);
    visit(Field{"history", Role::parameter}, self.history);
    visit(Field{"accumulator", Role::parameter}, self.accumulator);
    visit(Field{"average", Role::parameter}, self.average);
    visit(Field{"lrMult", Role::attribute}, self.lrMult);
    visit(Field{"decayMult", Role::attribute}, self.decayMult);
  }
};

// 2-D cross-correlation, whose output size is rounded down. A residual is added after the bias and before the ReLU.
struct Convolution {
  static constexpr const char* kKind = "convolution";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  ParameterId weights = -1;  // [num_output, C/group, kh, kw]
  std::optional<ParameterId> bias;  // [num_output]
  Pair kernel;
  Pair stride;
  Pair pad;
  Pair dilation;
  int64_t group = 1;
  std::optional<FusedRelu> relu;
  std::optional<float> clip;
  std::optional<ParameterId> slopes;  // [num_output], or [1]

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"weights", Role::learned}, self.weights);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"kernel", Role::attribute, 1}, self.kernel);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"pad", Role::attribute, 0}, self.pad);
    visit(Field{"dilation", Role::attribute, 1}, self.dilation);
    visit(Field{"group", Role::attribute, 1}, self.group);
    visit(Field{"relu", Role::attribute}, self.relu);
    visit(Field{"clip", Role::attribute}, self.clip);
    visit(Field{"slopes", Role::parameter}, self.slopes);
  }
};

// y[m, n] = Σk x[m, k]·w[n, k] + bias[n], where x is flattened from an axis on.
struct InnerProduct {
  static constexpr const char* kKind = "innerProduct";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  ParameterId weights = -1;  // [N, K], or [K, N] with transpose
  std::optional<ParameterId> bias;  // [N]
  int64_t axis = 1;
  int64_t numOutput = 1;
  bool transpose = false;
  std::optional<FusedRelu> relu;
  std::optional<float> clip;
  std::optional<ParameterId> slopes;  // [num_output], or [1]

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"weights", Role::learned}, self.weights);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"axis", Role::attribute, 0}, self.axis);
    visit(Field{"numOutput", Role::attribute, 1}, self.numOutput);
    visit(Field{"transpose", Role::attribute}, self.transpose);
    visit(Field{"relu", Role::attribute}, self.relu);
    visit(Field{"clip", Role::attribute}, self.clip);
    visit(Field{"slopes", Role::parameter}, self.slopes);
  }
};

enum class ScaleOperand { none, scale, bias };
constexpr std::array<const char*, 3> namesOf(ScaleOperand) { return {{"none", "scale", "bias"}}; }

// y[o, c, i] = x[o, c, i]·scale[c] + bias[c]. BatchNorm with global statistics, Scale and Bias also become this operation
// if no convolution absorbs them. Their scale and bias are computed when weights are packed.
struct Scale {
  static constexpr const char* kKind = "scale";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  ScaleOperand operand = ScaleOperand::none;
  std::optional<ParameterId> scale;  // [channels]
  std::optional<ParameterId> bias;  // [channels]
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::optional<FusedRelu> relu;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"operand", Role::attribute}, self.operand);
    visit(Field{"scale", Role::learned}, self.scale);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"relu", Role::attribute}, self.relu);
  }
};

enum class Statistics { batch, global };
constexpr std::array<const char*, 2> namesOf(Statistics) { return {{"batch", "global"}}; }

// y = relu(scale · (x − mean) / √(variance + eps) + bias + residual) over axis 1. Batch statistics are added to the
// running sums. The operation includes the Scale layer that follows. With a residual, its gradient takes the diff to which
// the derivative of the ReLU is already applied.
struct BatchNorm {
  static constexpr const char* kKind = "batchNorm";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  ParameterId mean = -1;  // [C]
  ParameterId variance = -1;  // [C]
  ParameterId factor = -1;  // [1]
  float eps = 0.00001f;
  float movingAverageFraction = 0.999f;
  Statistics statistics = Statistics::batch;
  bool update = true;
  bool synchronised = false;
  std::optional<ParameterId> scale;  // [C]
  std::optional<ParameterId> bias;  // [C]
  std::optional<FusedRelu> relu;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"mean", Role::parameter}, self.mean);
    visit(Field{"variance", Role::parameter}, self.variance);
    visit(Field{"factor", Role::parameter}, self.factor);
    visit(Field{"eps", Role::attribute}, self.eps);
    visit(Field{"movingAverageFraction", Role::attribute}, self.movingAverageFraction);
    visit(Field{"statistics", Role::attribute}, self.statistics);
    visit(Field{"update", Role::attribute}, self.update);
    visit(Field{"synchronised", Role::attribute}, self.synchronised);
    visit(Field{"scale", Role::learned}, self.scale);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"relu", Role::attribute}, self.relu);
  }
};

// max(x, 0) + negativeSlope · min(x, 0).
struct Relu {
  static constexpr const char* kKind = "relu";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float negativeSlope = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"negativeSlope", Role::attribute}, self.negativeSlope);
  }
};

// x where x is positive, else alpha · (eˣ − 1).
struct Elu {
  static constexpr const char* kKind = "elu";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float alpha = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"alpha", Role::attribute}, self.alpha);
  }
};

// 1 / (1 + e⁻ˣ).
struct Sigmoid {
  static constexpr const char* kKind = "sigmoid";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// tanh x.
struct Tanh {
  static constexpr const char* kKind = "tanh";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// |x|.
struct AbsVal {
  static constexpr const char* kKind = "absval";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// (shift + scale·x)^power, which is 1 if the power is 0.
struct Power {
  static constexpr const char* kKind = "power";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float power = 1;
  float scale = 1;
  float shift = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"power", Role::attribute}, self.power);
    visit(Field{"scale", Role::attribute}, self.scale);
    visit(Field{"shift", Role::attribute}, self.shift);
  }
};

// ln(1 + eˣ).
struct Bnll {
  static constexpr const char* kKind = "bnll";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  bool inPlace = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"inPlace", Role::attribute}, self.inPlace);
  }
};

// max(min, min(x, max)), which is min if min > max.
struct Clip {
  static constexpr const char* kKind = "clip";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float min = 0;
  float max = 0;
  bool passesBounds = true;
  bool inPlace = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"min", Role::attribute}, self.min);
    visit(Field{"max", Role::attribute}, self.max);
    visit(Field{"passesBounds", Role::attribute}, self.passesBounds);
    visit(Field{"inPlace", Role::attribute}, self.inPlace);
  }
};

// outer · e^(inner·x).
struct Exp {
  static constexpr const char* kKind = "exp";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float inner = 1;
  float outer = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"inner", Role::attribute}, self.inner);
    visit(Field{"outer", Role::attribute}, self.outer);
  }
};

// factor · ln(scale·x + shift).
struct Log {
  static constexpr const char* kKind = "log";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float scale = 1;
  float shift = 0;
  float factor = 1;
  bool inPlace = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"scale", Role::attribute}, self.scale);
    visit(Field{"shift", Role::attribute}, self.shift);
    visit(Field{"factor", Role::attribute}, self.factor);
    visit(Field{"inPlace", Role::attribute}, self.inPlace);
  }
};

// 1 where x > threshold, else 0.
struct Threshold {
  static constexpr const char* kKind = "threshold";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float threshold = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"threshold", Role::attribute}, self.threshold);
  }
};

// x / (1 + e^(−beta·x)).
struct Swish {
  static constexpr const char* kKind = "swish";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;
  float beta = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"beta", Role::attribute}, self.beta);
  }
};

// x · tanh(ln(1 + eˣ)).
struct Mish {
  static constexpr const char* kKind = "mish";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// x · max(0, min(6, x + 3)) / 6.
struct HardSwish {
  static constexpr const char* kKind = "hardSwish";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = true;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// max(x, 0) + slope · min(x, 0), with channels on axis 1.
struct PRelu {
  static constexpr const char* kKind = "prelu";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  ParameterId slope = -1;  // [C], or one value with channelShared
  bool channelShared = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"slope", Role::learned}, self.slope);
    visit(Field{"channelShared", Role::attribute}, self.channelShared);
  }
};

// In training, sets each value of x to 0 with probability `ratio` and divides the others by 1 − ratio. The choice depends
// only on seed, stream, rank, iteration, pass and position (Philox4x32-10, native/core/philox.h). A resumed run therefore
// draws the same numbers as an uninterrupted one, and the backward pass draws those of the forward pass again.
struct Dropout {
  static constexpr const char* kKind = "dropout";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  float ratio = 0.5f;
  uint32_t seed = 0;
  uint32_t stream = 0;
  uint32_t rank = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"ratio", Role::attribute}, self.ratio);
    visit(Field{"seed", Role::attribute}, self.seed);
    visit(Field{"stream", Role::attribute}, self.stream);
    visit(Field{"rank", Role::attribute}, self.rank);
  }
};

enum class EltwiseKind { sum, prod, max };
constexpr std::array<const char*, 3> namesOf(EltwiseKind) { return {{"sum", "prod", "max"}}; }

// The sum, product or maximum of its inputs. If inputs of max are equal, the value is the same whichever is chosen.
struct Eltwise {
  static constexpr const char* kKind = "eltwise";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  EltwiseKind operation = EltwiseKind::sum;
  std::vector<float> coefficients;
  bool stableProdGrad = true;
  std::optional<FusedRelu> relu;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"operation", Role::attribute}, self.operation);
    visit(Field{"coefficients", Role::attribute}, self.coefficients);
    visit(Field{"stableProdGrad", Role::attribute}, self.stableProdGrad);
    visit(Field{"relu", Role::attribute}, self.relu);
  }
};

// The sum of diffs where y is positive, and negativeSlope times the sum elsewhere: the diff of the input of a ReLU whose
// output has several readers. For BatchNorms over batch statistics that this diff belongs to, it also computes the sums
// that their gradients read: Σ diff and Σ diff · (x − mean) / √(variance + eps) over all axes but 1.
struct SumBehindRelu {
  static constexpr const char* kKind = "sumBehindRelu";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  float negativeSlope = 0;
  Pair stride;
  std::vector<float> eps;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"negativeSlope", Role::attribute}, self.negativeSlope);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"eps", Role::attribute}, self.eps);
  }
};

enum class PoolingMethod { max, average };
constexpr std::array<const char*, 2> namesOf(PoolingMethod) { return {{"max", "average"}}; }

// The maximum or the mean of each window. The shape of y, which follows Caffe's ceil and clip rules, gives the number of
// windows. As in Caffe, the mean divides by the size of the window clipped to [−pad, size + pad).
struct Pooling {
  static constexpr const char* kKind = "pooling";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  PoolingMethod method = PoolingMethod::max;
  Pair kernel;
  Pair stride;
  Pair pad;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"method", Role::attribute}, self.method);
    visit(Field{"kernel", Role::attribute, 1}, self.kernel);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"pad", Role::attribute, 0}, self.pad);
  }
};

// eˣ divided by its sum over the channels.
struct Softmax {
  static constexpr const char* kKind = "softmax";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
  }
};

enum class Normalization { full, valid, batchSize, none };
constexpr std::array<const char*, 4> namesOf(Normalization) { return {{"full", "valid", "batchSize", "none"}}; }

// The mean of −log of each label's probability. Smoothing and class weights are as in torch.nn.CrossEntropyLoss.
struct SoftmaxLoss {
  static constexpr const char* kKind = "softmaxLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::optional<int64_t> ignoreLabel;
  Normalization normalization = Normalization::valid;
  float smoothing = 0;
  std::vector<float> classWeights;
  bool dividesByWeights = true;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
    visit(Field{"normalization", Role::attribute}, self.normalization);
    visit(Field{"smoothing", Role::attribute}, self.smoothing);
    visit(Field{"classWeights", Role::attribute}, self.classWeights);
    visit(Field{"dividesByWeights", Role::attribute}, self.dividesByWeights);
  }
};

// Σ(a − b)² / (2·N), where N is the first dimension.
struct EuclideanLoss {
  static constexpr const char* kKind = "euclideanLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// The share of positions whose label is among the topK highest scores; a tie counts against the label.
struct Accuracy {
  static constexpr const char* kKind = "accuracy";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t topK = 1;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::optional<int64_t> ignoreLabel;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"topK", Role::attribute, 1}, self.topK);
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
  }
};

// The inputs, concatenated along an axis.
struct Concat {
  static constexpr const char* kKind = "concat";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t axis = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"axis", Role::attribute, 0}, self.axis);
  }
};

// The parts of its input along an axis; the shapes of the outputs give their sizes.
struct Slice {
  static constexpr const char* kKind = "slice";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t axis = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"axis", Role::attribute, 0}, self.axis);
  }
};

// The same values in another shape: Flatten, Reshape and Split.
struct Reshape {
  static constexpr const char* kKind = "reshape";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

enum class LrnRegion { across, within };
constexpr std::array<const char*, 2> namesOf(LrnRegion) { return {{"across", "within"}}; }

// x / (k + alpha/n · Σ x²)^beta. With `across`, the sum is over n = size channels. With `within`, it is over windows of n
// = size² positions, k is 1, and n follows the padding rule of pooling.
struct Lrn {
  static constexpr const char* kKind = "lrn";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  LrnRegion region = LrnRegion::across;
  int64_t size = 5;
  float alpha = 1;
  float beta = 0.75f;
  float k = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"region", Role::attribute}, self.region);
    visit(Field{"size", Role::attribute, 1}, self.size);
    visit(Field{"alpha", Role::attribute}, self.alpha);
    visit(Field{"beta", Role::attribute}, self.beta);
    visit(Field{"k", Role::attribute}, self.k);
  }
};

// The transpose of a 2-D convolution: y has stride·(H − 1) + dilation·(kh − 1) + 1 − 2·pad rows. Positions that no window
// reaches hold the bias.
struct Deconvolution {
  static constexpr const char* kKind = "deconvolution";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId weights = -1;  // [C, num_output/group, kh, kw]
  std::optional<ParameterId> bias;  // [num_output]
  Pair kernel;
  Pair stride;
  Pair pad;
  Pair dilation;
  int64_t group = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"weights", Role::learned}, self.weights);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"kernel", Role::attribute, 1}, self.kernel);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"pad", Role::attribute, 0}, self.pad);
    visit(Field{"dilation", Role::attribute, 1}, self.dilation);
    visit(Field{"group", Role::attribute, 1}, self.group);
  }
};

// The region of x that has the size of y.
struct Crop {
  static constexpr const char* kKind = "crop";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  std::vector<int64_t> offset;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"offset", Role::attribute, 0}, self.offset);
  }
};

// x with its axes in another order: axis i of y is axis order[i] of x.
struct Permute {
  static constexpr const char* kKind = "permute";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  std::vector<int64_t> order;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"order", Role::attribute, 0}, self.order);
  }
};

// The windows of an image as columns, [outer, channels · Πkernel, windows…]. With toImage it is the transpose of this:
// each value of the image is the sum of the column values that belong to it.
struct Im2col {
  static constexpr const char* kKind = "im2col";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  bool toImage = false;
  int64_t outer = 1;
  int64_t channels = 1;
  std::vector<int64_t> size;
  std::vector<int64_t> kernel;
  std::vector<int64_t> stride;
  std::vector<int64_t> pad;
  std::vector<int64_t> dilation;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"toImage", Role::attribute}, self.toImage);
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"channels", Role::attribute, 1}, self.channels);
    visit(Field{"size", Role::attribute, 1}, self.size);
    visit(Field{"kernel", Role::attribute, 1}, self.kernel);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"pad", Role::attribute, 0}, self.pad);
    visit(Field{"dilation", Role::attribute, 1}, self.dilation);
  }
};

// The items of x that the indices name, in their order. An item may be named several times or not at all.
struct BatchReindex {
  static constexpr const char* kKind = "batchReindex";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// y[b, m, n] = Σk a[b, m, k]·c[b, k, n], where the net computes both matrices.
struct MatrixProduct {
  static constexpr const char* kKind = "matrixProduct";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t batches = 1;
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t depth = 1;
  bool transposeFirst = false;
  bool transposeSecond = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"batches", Role::attribute, 1}, self.batches);
    visit(Field{"rows", Role::attribute, 1}, self.rows);
    visit(Field{"columns", Role::attribute, 1}, self.columns);
    visit(Field{"depth", Role::attribute, 1}, self.depth);
    visit(Field{"transposeFirst", Role::attribute}, self.transposeFirst);
    visit(Field{"transposeSecond", Role::attribute}, self.transposeSecond);
  }
};

// For each index, truncated to an integer, the row of the weights that it names, plus the bias.
struct Embed {
  static constexpr const char* kKind = "embed";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId weights = -1;  // [K, N]
  std::optional<ParameterId> bias;  // [N]
  int64_t inputDim = 1;
  int64_t numOutput = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"weights", Role::learned}, self.weights);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"inputDim", Role::attribute, 1}, self.inputDim);
    visit(Field{"numOutput", Role::attribute, 1}, self.numOutput);
  }
};

// A learnable blob as a tensor.
struct ParameterBlob {
  static constexpr const char* kKind = "parameter";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId blob = -1;  // of the shape of y

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"blob", Role::learned}, self.blob);
  }
};

// Returns its first input, and stores all its inputs in parameters for the next run.
struct Remember {
  static constexpr const char* kKind = "remember";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId first = -1;  // of the shape of x
  std::optional<ParameterId> second;  // of the shape of the second input

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"first", Role::parameter}, self.first);
    visit(Field{"second", Role::parameter}, self.second);
  }
};

// Draws a value of each window, with a probability proportional to the value; no value is negative. Without drawing it is
// Σx²/Σx, the mean of the values weighted by themselves. As for dropout, the choice depends only on seed, stream, rank,
// iteration, pass and position.
struct StochasticPooling {
  static constexpr const char* kKind = "stochasticPooling";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  Pair kernel;
  Pair stride;
  bool draws = true;
  uint32_t seed = 0;
  uint32_t stream = 0;
  uint32_t rank = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"kernel", Role::attribute, 1}, self.kernel);
    visit(Field{"stride", Role::attribute, 1}, self.stride);
    visit(Field{"draws", Role::attribute}, self.draws);
    visit(Field{"seed", Role::attribute}, self.seed);
    visit(Field{"stream", Role::attribute}, self.stream);
    visit(Field{"rank", Role::attribute}, self.rank);
  }
};

// scale · x / √(Σx² + eps), with the sum over all values of an item, or over its channels at each position. There is one
// scale, or one per channel. The gradient is that of SSD, which multiplies by the scale last.
struct Normalize {
  static constexpr const char* kKind = "normalize";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId scale = -1;  // [1] or [C]
  bool acrossSpatial = true;
  bool channelShared = true;
  float eps = 1e-10f;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"scale", Role::learned}, self.scale);
    visit(Field{"acrossSpatial", Role::attribute}, self.acrossSpatial);
    visit(Field{"channelShared", Role::attribute}, self.channelShared);
    visit(Field{"eps", Role::attribute}, self.eps);
  }
};

// scale · (x − mean) / √(variance + eps) + shift over axis 1, with the mean and the biased variance of the batch. If it
// has running statistics, they become momentum · running + (1 − momentum) · those of the batch.
struct Bn {
  static constexpr const char* kKind = "bn";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ParameterId scale = -1;  // [C]
  ParameterId shift = -1;  // [C]
  std::optional<ParameterId> mean;  // [C]
  std::optional<ParameterId> variance;  // [C]
  float eps = 0.00001f;
  float momentum = 0.9f;
  bool update = true;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"scale", Role::learned}, self.scale);
    visit(Field{"shift", Role::learned}, self.shift);
    visit(Field{"mean", Role::parameter}, self.mean);
    visit(Field{"variance", Role::parameter}, self.variance);
    visit(Field{"eps", Role::attribute}, self.eps);
    visit(Field{"momentum", Role::attribute}, self.momentum);
    visit(Field{"update", Role::attribute}, self.update);
  }
};

enum class ResizeMethod { aligned, nearest, asymmetric, halfPixel };
constexpr std::array<const char*, 4> namesOf(ResizeMethod) { return {{"aligned", "nearest", "asymmetric", "halfPixel"}}; }

// Resizes planes. `nearest` takes the value at the position times the ratio of the sizes, rounded down. The others are
// bilinear: `aligned` maps corners to corners, `asymmetric` the first corner to the first, and `halfPixel` places the
// centres of pixels at halves.
struct Resize {
  static constexpr const char* kKind = "resize";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ResizeMethod method = ResizeMethod::aligned;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"method", Role::attribute}, self.method);
  }
};

enum class SampleOutside { neighbours, points, beyond };
constexpr std::array<const char*, 3> namesOf(SampleOutside) { return {{"neighbours", "points", "beyond"}}; }

enum class SampleSlope { right, mean, pixel };
constexpr std::array<const char*, 3> namesOf(SampleSlope) { return {{"right", "mean", "pixel"}}; }

// Samples x: each value of y is interpolated bilinearly from the four pixels of x around a point.
struct BilinearSample {
  static constexpr const char* kKind = "bilinearSample";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  bool relative = false;
  SampleOutside outside = SampleOutside::neighbours;
  SampleSlope slope = SampleSlope::right;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"relative", Role::attribute}, self.relative);
    visit(Field{"outside", Role::attribute}, self.outside);
    visit(Field{"slope", Role::attribute}, self.slope);
  }
};

// Reverses the columns of planes, their rows, or both.
struct Flip {
  static constexpr const char* kKind = "flip";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  bool height = false;
  bool width = true;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"height", Role::attribute}, self.height);
    visit(Field{"width", Role::attribute}, self.width);
  }
};

// x, or 0 where |x| does not exceed the threshold, if the threshold is positive. The gradient is dy + coefficient ·
// sign(x): a penalty on |x| that does not appear as a loss.
struct Sparsify {
  static constexpr const char* kKind = "sparsify";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float threshold = 0;
  float coefficient = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"threshold", Role::attribute}, self.threshold);
    visit(Field{"coefficient", Role::attribute}, self.coefficient);
  }
};

// The second input of a recurrent layer whose sequences all begin in the first row: 0 there, 1 in all later rows.
struct Continuation {
  static constexpr const char* kKind = "continuation";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// Calls a function of the process with copies of the inputs: a layer that is written in JavaScript.
struct HostFunction {
  static constexpr const char* kKind = "hostFunction";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int64_t index = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"index", Role::attribute, 0}, self.index);
  }
};

// Puts each value of x at the position that the mask gives. All other values of y are 0; of several values, the last wins.
struct Unpool {
  static constexpr const char* kKind = "unpool";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// Boxes around the cells of a feature map, [x1, y1, x2, y2] as fractions of the image, followed by their variances.
struct PriorBoxes {
  static constexpr const char* kKind = "priorBoxes";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  std::vector<float> widths;
  std::vector<float> heights;
  std::vector<float> xs;
  std::vector<float> ys;
  std::vector<float> variances;
  int64_t height = 1;
  int64_t width = 1;
  float imageHeight = 1;
  float imageWidth = 1;
  float stepHeight = 1;
  float stepWidth = 1;
  float offset = 0.5f;
  bool clip = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"widths", Role::attribute}, self.widths);
    visit(Field{"heights", Role::attribute}, self.heights);
    visit(Field{"xs", Role::attribute}, self.xs);
    visit(Field{"ys", Role::attribute}, self.ys);
    visit(Field{"variances", Role::attribute}, self.variances);
    visit(Field{"height", Role::attribute, 1}, self.height);
    visit(Field{"width", Role::attribute, 1}, self.width);
    visit(Field{"imageHeight", Role::attribute}, self.imageHeight);
    visit(Field{"imageWidth", Role::attribute}, self.imageWidth);
    visit(Field{"stepHeight", Role::attribute}, self.stepHeight);
    visit(Field{"stepWidth", Role::attribute}, self.stepWidth);
    visit(Field{"offset", Role::attribute}, self.offset);
    visit(Field{"clip", Role::attribute}, self.clip);
  }
};

enum class BoxCode { corner, centerSize, cornerSize };
constexpr std::array<const char*, 3> namesOf(BoxCode) { return {{"corner", "centerSize", "cornerSize"}}; }

// Decodes boxes, drops those that overlap better ones of their class (non-maximum suppression) and keeps the best of each
// image. Rows without a detection are −1. Without any detection, row i holds image i, and −1 in the other columns.
struct DetectionOutput {
  static constexpr const char* kKind = "detectionOutput";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t classes = 1;
  int64_t background = 0;
  bool shareLocation = true;
  BoxCode code = BoxCode::corner;
  bool varianceInTarget = false;
  bool clip = false;
  float scoreThreshold = 0;
  float nmsThreshold = 0.3f;
  float eta = 1;
  std::optional<int64_t> topK;
  std::optional<int64_t> keepTopK;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"classes", Role::attribute, 1}, self.classes);
    visit(Field{"background", Role::attribute, -1}, self.background);
    visit(Field{"shareLocation", Role::attribute}, self.shareLocation);
    visit(Field{"code", Role::attribute}, self.code);
    visit(Field{"varianceInTarget", Role::attribute}, self.varianceInTarget);
    visit(Field{"clip", Role::attribute}, self.clip);
    visit(Field{"scoreThreshold", Role::attribute}, self.scoreThreshold);
    visit(Field{"nmsThreshold", Role::attribute}, self.nmsThreshold);
    visit(Field{"eta", Role::attribute}, self.eta);
    visit(Field{"topK", Role::attribute, 0}, self.topK);
    visit(Field{"keepTopK", Role::attribute, 0}, self.keepTopK);
  }
};

// Computes regions of interest: moves anchors by the deltas, clips them to the image, drops small ones, sorts them by
// score and drops those that overlap better ones. Rows without a region are −1.
struct Proposal {
  static constexpr const char* kKind = "proposal";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  std::vector<float> anchors;
  float stride = 16;
  float minSize = 16;
  int64_t beforeNms = 6000;
  float nmsThreshold = 0.7f;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"anchors", Role::attribute}, self.anchors);
    visit(Field{"stride", Role::attribute}, self.stride);
    visit(Field{"minSize", Role::attribute}, self.minSize);
    visit(Field{"beforeNms", Role::attribute, 1}, self.beforeNms);
    visit(Field{"nmsThreshold", Role::attribute}, self.nmsThreshold);
  }
};

// The maximum of each bin of each region, or 0 for an empty bin. The bins of a region of image −1 are 0.
struct RoiPooling {
  static constexpr const char* kKind = "roiPooling";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float spatialScale = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"spatialScale", Role::attribute}, self.spatialScale);
  }
};

// The mean of each bin of each region, or 0 for an empty bin. Each bin reads its own channel, (out · group + row) · group
// + column. The bins of a region of image −1 are 0.
struct PsRoiPooling {
  static constexpr const char* kKind = "psRoiPooling";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float spatialScale = 1;
  int64_t group = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"spatialScale", Role::attribute}, self.spatialScale);
    visit(Field{"group", Role::attribute, 1}, self.group);
  }
};

enum class RoiAlignForm { corners, maximum, mean };
constexpr std::array<const char*, 3> namesOf(RoiAlignForm) { return {{"corners", "maximum", "mean"}}; }

// Samples regions bilinearly. `corners` samples each corner of the bins. `mean` averages the samples of a bin,
// samplingRatio along a side (0: as many as it has pixels, rounded up). `maximum` takes the largest of four weighted sums
// of a bin's first four pixels. A region of image −1 gives 0.
struct RoiAlign {
  static constexpr const char* kKind = "roiAlign";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float spatialScale = 1;
  RoiAlignForm form = RoiAlignForm::corners;
  int64_t samplingRatio = 0;
  bool aligned = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"spatialScale", Role::attribute}, self.spatialScale);
    visit(Field{"form", Role::attribute}, self.form);
    visit(Field{"samplingRatio", Role::attribute, 0}, self.samplingRatio);
    visit(Field{"aligned", Role::attribute}, self.aligned);
  }
};

enum class RegionPart { whole, left, right, top, bottom };
constexpr std::array<const char*, 5> namesOf(RegionPart) { return {{"whole", "left", "right", "top", "bottom"}}; }

// RoiPooling of a region that is scaled about its centre or cut in half. The values under a mask, which is also a scaled
// region, are compared as 0. The bins of a region of image −1 are 0.
struct RoiMaskPooling {
  static constexpr const char* kKind = "roiMaskPooling";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float spatialScale = 1;
  float shift = 0;
  RegionPart part = RegionPart::whole;
  float regionScale = 1;
  float maskScale = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"spatialScale", Role::attribute}, self.spatialScale);
    visit(Field{"shift", Role::attribute}, self.shift);
    visit(Field{"part", Role::attribute}, self.part);
    visit(Field{"regionScale", Role::attribute}, self.regionScale);
    visit(Field{"maskScale", Role::attribute}, self.maskScale);
  }
};

// Σ outside · f(inside · (a − b)) / divisor, with f(d) = σ²d²/2 if |d| < 1/σ², else |d| − 0.5/σ².
struct SmoothL1Loss {
  static constexpr const char* kKind = "smoothL1Loss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  float sigma = 1;
  float divisor = 1;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"sigma", Role::attribute}, self.sigma);
    visit(Field{"divisor", Role::attribute}, self.divisor);
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
  }
};

enum class LocLoss { smoothL1, l2 };
constexpr std::array<const char*, 2> namesOf(LocLoss) { return {{"smoothL1", "l2"}}; }

enum class ConfLoss { softmax, logistic };
constexpr std::array<const char*, 2> namesOf(ConfLoss) { return {{"softmax", "logistic"}}; }

enum class Mining { none, maxNegative, hardExample };
constexpr std::array<const char*, 3> namesOf(Mining) { return {{"none", "maxNegative", "hardExample"}}; }

// The loss of a detector (SSD). It matches priors with the boxes of an image, chooses hard ones among the others, and sums
// the losses of the scores of both and of the locations of matches. The gradient with respect to locations is that of SSD,
// which ignores the variances if they are part of the target.
struct MultiBoxLoss {
  static constexpr const char* kKind = "multiBoxLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t classes = 1;
  int64_t background = 0;
  bool shareLocation = true;
  bool agnostic = false;
  BoxCode code = BoxCode::corner;
  bool varianceInTarget = false;
  LocLoss locLoss = LocLoss::smoothL1;
  ConfLoss confLoss = ConfLoss::softmax;
  float locWeight = 1;
  float confWeight = 1;
  bool perPrediction = true;
  float overlapThreshold = 0.5f;
  bool priorsMatch = true;
  bool ignoresCrossing = false;
  bool insideOnly = false;
  bool usesDifficult = true;
  Mining mining = Mining::none;
  float negativesPerMatch = 3;
  float negativeOverlap = 0.5f;
  int64_t sampleSize = 64;
  float leastObject = 0;
  std::optional<float> nmsThreshold;
  std::optional<int64_t> nmsTopK;
  bool nmsByPriors = false;
  Normalization normalization = Normalization::valid;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"classes", Role::attribute, 1}, self.classes);
    visit(Field{"background", Role::attribute, -2147483648}, self.background);
    visit(Field{"shareLocation", Role::attribute}, self.shareLocation);
    visit(Field{"agnostic", Role::attribute}, self.agnostic);
    visit(Field{"code", Role::attribute}, self.code);
    visit(Field{"varianceInTarget", Role::attribute}, self.varianceInTarget);
    visit(Field{"locLoss", Role::attribute}, self.locLoss);
    visit(Field{"confLoss", Role::attribute}, self.confLoss);
    visit(Field{"locWeight", Role::attribute}, self.locWeight);
    visit(Field{"confWeight", Role::attribute}, self.confWeight);
    visit(Field{"perPrediction", Role::attribute}, self.perPrediction);
    visit(Field{"overlapThreshold", Role::attribute}, self.overlapThreshold);
    visit(Field{"priorsMatch", Role::attribute}, self.priorsMatch);
    visit(Field{"ignoresCrossing", Role::attribute}, self.ignoresCrossing);
    visit(Field{"insideOnly", Role::attribute}, self.insideOnly);
    visit(Field{"usesDifficult", Role::attribute}, self.usesDifficult);
    visit(Field{"mining", Role::attribute}, self.mining);
    visit(Field{"negativesPerMatch", Role::attribute}, self.negativesPerMatch);
    visit(Field{"negativeOverlap", Role::attribute}, self.negativeOverlap);
    visit(Field{"sampleSize", Role::attribute, 1}, self.sampleSize);
    visit(Field{"leastObject", Role::attribute}, self.leastObject);
    visit(Field{"nmsThreshold", Role::attribute}, self.nmsThreshold);
    visit(Field{"nmsTopK", Role::attribute, 0}, self.nmsTopK);
    visit(Field{"nmsByPriors", Role::attribute}, self.nmsByPriors);
    visit(Field{"normalization", Role::attribute}, self.normalization);
  }
};

// −ln(max(p[label], FLT_MIN)) at each position, where p is the softmax of the scores; 0 where the label is ignored.
struct PlaceLosses {
  static constexpr const char* kKind = "placeLosses";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::optional<int64_t> ignoreLabel;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
  }
};

// The regions of each image with the largest losses keep their labels and weights; the others get the ignored label and
// weights of 0. Of equal losses, that of the first region counts as larger.
struct BoxAnnotatorOhem {
  static constexpr const char* kKind = "boxAnnotatorOhem";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t perImage = 1;
  int64_t ignoreLabel = -1;
  int64_t channels = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"perImage", Role::attribute, 1}, self.perImage);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
    visit(Field{"channels", Role::attribute, 1}, self.channels);
  }
};

// Compares the class with the highest score to the label at all positions: the share that is right, the mean share over
// the classes that occur, and the mean intersection over union. Counts of earlier batches are added.
struct SegmentationAccuracy {
  static constexpr const char* kKind = "segmentationAccuracy";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::vector<int64_t> ignored;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"ignored", Role::attribute, -9007199254740992}, self.ignored);
  }
};

enum class ArgMaxResult { indices, values, both };
constexpr std::array<const char*, 3> namesOf(ArgMaxResult) { return {{"indices", "values", "both"}}; }

// The topK largest values along the channels, the largest first. Of equal values, that of the later channel comes first.
struct ArgMax {
  static constexpr const char* kKind = "argMax";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  int64_t topK = 1;
  ArgMaxResult what = ArgMaxResult::indices;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"topK", Role::attribute, 1}, self.topK);
    visit(Field{"what", Role::attribute}, self.what);
  }
};

enum class ReductionMethod { sum, asum, sumsq };
constexpr std::array<const char*, 3> namesOf(ReductionMethod) { return {{"sum", "asum", "sumsq"}}; }

// coefficient times the sum of the values of each row, of their magnitudes, or of their squares.
struct Reduction {
  static constexpr const char* kKind = "reduction";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  ReductionMethod method = ReductionMethod::sum;
  float coefficient = 1;
  int64_t outer = 1;
  int64_t inner = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"method", Role::attribute}, self.method);
    visit(Field{"coefficient", Role::attribute}, self.coefficient);
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"inner", Role::attribute, 1}, self.inner);
  }
};

// (x − mean) / (√variance + eps) of each row, with the biased variance; or x − mean. The gradient is Caffe's, which
// ignores eps.
struct Mvn {
  static constexpr const char* kKind = "mvn";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t inner = 1;
  bool normalizeVariance = true;
  float eps = 1e-9f;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"inner", Role::attribute, 1}, self.inner);
    visit(Field{"normalizeVariance", Role::attribute}, self.normalizeVariance);
    visit(Field{"eps", Role::attribute}, self.eps);
  }
};

// The mean of −Σₗ H[label, l] · ln(max(pₗ, 1e-20)), where p is the softmax of the scores.
struct InfogainLoss {
  static constexpr const char* kKind = "infogainLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  std::optional<int64_t> ignoreLabel;
  Normalization normalization = Normalization::valid;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 0}, self.outer);
    visit(Field{"channels", Role::attribute, 0}, self.channels);
    visit(Field{"inner", Role::attribute, 0}, self.inner);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
    visit(Field{"normalization", Role::attribute}, self.normalization);
  }
};

// The mean of −t·ln σ(x) − (1 − t)·ln(1 − σ(x)). A target is truncated to an integer to be compared with ignoreLabel.
struct SigmoidCrossEntropyLoss {
  static constexpr const char* kKind = "sigmoidCrossEntropyLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  std::optional<int64_t> ignoreLabel;
  Normalization normalization = Normalization::valid;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"ignoreLabel", Role::attribute, -9007199254740992}, self.ignoreLabel);
    visit(Field{"normalization", Role::attribute}, self.normalization);
  }
};

// −Σ ln(max(p[label], 1e-20)) / outer.
struct MultinomialLogisticLoss {
  static constexpr const char* kKind = "multinomialLogisticLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"channels", Role::attribute, 1}, self.channels);
  }
};

enum class HingeNorm { L1, L2 };
constexpr std::array<const char*, 2> namesOf(HingeNorm) { return {{"L1", "L2"}}; }

// Σ max(0, 1 ± x) / outer, or the sum of the squares; the sign is − for the class of the label and + for the others.
struct HingeLoss {
  static constexpr const char* kKind = "hingeLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  HingeNorm norm = HingeNorm::L1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"channels", Role::attribute, 1}, self.channels);
    visit(Field{"norm", Role::attribute}, self.norm);
  }
};

// The sum over pairs, divided by 2·outer, of d² if the label, truncated, is not 0, else of max(margin − d, 0)², or
// max(margin − d², 0) in the legacy version; d is the distance between a and b.
struct ContrastiveLoss {
  static constexpr const char* kKind = "contrastiveLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;
  int64_t outer = 1;
  int64_t channels = 1;
  float margin = 1;
  bool legacy = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"outer", Role::attribute, 1}, self.outer);
    visit(Field{"channels", Role::attribute, 1}, self.channels);
    visit(Field{"margin", Role::attribute}, self.margin);
    visit(Field{"legacy", Role::attribute}, self.legacy);
  }
};

// c = cont·σ(f)·c₋₁ + σ(i)·tanh(g), h = σ(o)·tanh(c).
struct LstmUnit {
  static constexpr const char* kKind = "lstmUnit";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// The gradient of an operation. An id of −1 stands for a tensor that does not exist.
struct Gradient {
  static constexpr const char* kKind = "gradient";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  int32_t of = -1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"of", Role::operation}, self.of);
  }
};

// The mean of each input over all processes that train together. A single process keeps its own values.
struct AllMean {
  static constexpr const char* kKind = "allMean";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

enum class UpdateRule { sgd, nesterov, adagrad, rmsprop, adadelta, adam, adamw, lars };
constexpr std::array<const char*, 8> namesOf(UpdateRule) { return {{"sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "lars"}}; }

enum class Regularization { L1, L2 };
constexpr std::array<const char*, 2> namesOf(Regularization) { return {{"L1", "L2"}}; }

// Caffe's SGDSolver::ApplyUpdate of all learnable parameters, in place: clip, normalise, regularise, apply the rule. If
// `first` is not 0, the accumulators are cleared before the diffs are added; if `last` is 0, it ends after that. A
// parameter without an accumulator needs both set. If a loss is not finite, nothing is updated, so that the weights that
// caused it can be examined (Caffe would make every weight NaN).
struct Update {
  static constexpr const char* kKind = "update";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  static constexpr bool kIsPortable = false;
  UpdateRule rule = UpdateRule::sgd;
  float momentum = 0;
  float momentum2 = 0.999f;
  bool dampened = false;
  float trust = 0.001f;
  float averageDecay = 0;
  float delta = 1e-8f;
  float rmsDecay = 0;
  std::optional<float> clipGradients;
  int64_t iterSize = 1;
  float weightDecay = 0;
  Regularization regularization = Regularization::L2;
  std::vector<UpdatedParameter> parameters;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"rule", Role::attribute}, self.rule);
    visit(Field{"momentum", Role::attribute}, self.momentum);
    visit(Field{"momentum2", Role::attribute}, self.momentum2);
    visit(Field{"dampened", Role::attribute}, self.dampened);
    visit(Field{"trust", Role::attribute}, self.trust);
    visit(Field{"averageDecay", Role::attribute}, self.averageDecay);
    visit(Field{"delta", Role::attribute}, self.delta);
    visit(Field{"rmsDecay", Role::attribute}, self.rmsDecay);
    visit(Field{"clipGradients", Role::attribute}, self.clipGradients);
    visit(Field{"iterSize", Role::attribute, 1}, self.iterSize);
    visit(Field{"weightDecay", Role::attribute}, self.weightDecay);
    visit(Field{"regularization", Role::attribute}, self.regularization);
    visit(Field{"parameters", Role::attribute}, self.parameters);
  }
};

using Attributes = OneOf<
    Convolution, InnerProduct, Scale, BatchNorm, Relu, Elu, Sigmoid, Tanh, AbsVal, Power, Bnll, Clip, Exp, Log,
    Threshold, Swish, Mish, HardSwish, PRelu, Dropout, Eltwise, SumBehindRelu, Pooling, Softmax, SoftmaxLoss,
    EuclideanLoss, Accuracy, Concat, Slice, Reshape, Lrn, Deconvolution, Crop, Permute, Im2col, BatchReindex,
    MatrixProduct, Embed, ParameterBlob, Remember, StochasticPooling, Normalize, Bn, Resize, BilinearSample, Flip,
    Sparsify, Continuation, HostFunction, Unpool, PriorBoxes, DetectionOutput, Proposal, RoiPooling, PsRoiPooling,
    RoiAlign, RoiMaskPooling, SmoothL1Loss, MultiBoxLoss, PlaceLosses, BoxAnnotatorOhem, SegmentationAccuracy,
    ArgMax, Reduction, Mvn, InfogainLoss, SigmoidCrossEntropyLoss, MultinomialLogisticLoss, HingeLoss,
    ContrastiveLoss, LstmUnit, Gradient, AllMean, Update>;

// Functions of one value, in native/operations/elementwise/elementwise.h.
using Elementwise = OneOf<Relu, Elu, Sigmoid, Tanh, AbsVal, Power, Bnll, Clip, Exp, Log, Threshold, Swish, Mish, HardSwish>;

// Operations that are written once for all devices, as native/core/portable.h explains.
using Portable = OneOf<Deconvolution, Crop, Permute, Im2col, BatchReindex, MatrixProduct, Embed, ParameterBlob, Remember, StochasticPooling, Normalize, Bn, Resize, BilinearSample, Flip, Sparsify, Continuation, Unpool, PriorBoxes, DetectionOutput, Proposal, RoiPooling, PsRoiPooling, RoiAlign, RoiMaskPooling, SmoothL1Loss, MultiBoxLoss, PlaceLosses, BoxAnnotatorOhem, SegmentationAccuracy, ArgMax, Reduction, Mvn, InfogainLoss, SigmoidCrossEntropyLoss, MultinomialLogisticLoss, HingeLoss, ContrastiveLoss, LstmUnit>;

}  // namespace resnode
