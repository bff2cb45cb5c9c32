// Written by `npm run generate` from ts/operations/schema.ts; not to be edited by hand.
#pragma once

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "native/core/fields.h"

namespace resnode {

// All that learn.
struct UpdatedParameter {
  ParameterId parameter = -1;  // the parameter's
  std::vector<ParameterId> history;
  std::optional<ParameterId> accumulator;  // the parameter's
  float lrMult = 1;
  float decayMult = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"parameter", Role::parameter}, self.parameter);
    visit(Field{"history", Role::parameter}, self.history);
    visit(Field{"accumulator", Role::parameter}, self.accumulator);
    visit(Field{"lrMult", Role::attribute}, self.lrMult);
    visit(Field{"decayMult", Role::attribute}, self.decayMult);
  }
};

// 2-D cross-correlation, its size rounded down. A residual is added behind the bias and before the ReLU.
struct Convolution {
  static constexpr const char* kKind = "convolution";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  ParameterId weights = -1;  // [num_output, C/group, kh, kw]
  std::optional<ParameterId> bias;  // [num_output]
  Pair kernel;
  Pair stride;
  Pair pad;
  Pair dilation;
  int64_t group = 1;
  std::optional<FusedRelu> relu;

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
  }
};

// y[m, n] = Σk x[m, k]·w[n, k] + bias[n], x flattened from an axis.
struct InnerProduct {
  static constexpr const char* kKind = "innerProduct";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
  ParameterId weights = -1;  // [N, K], or [K, N] with transpose
  std::optional<ParameterId> bias;  // [N]
  int64_t axis = 1;
  int64_t numOutput = 1;
  bool transpose = false;
  std::optional<FusedRelu> relu;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"weights", Role::learned}, self.weights);
    visit(Field{"bias", Role::learned}, self.bias);
    visit(Field{"axis", Role::attribute, 0}, self.axis);
    visit(Field{"numOutput", Role::attribute, 1}, self.numOutput);
    visit(Field{"transpose", Role::attribute}, self.transpose);
    visit(Field{"relu", Role::attribute}, self.relu);
  }
};

enum class ScaleOperand { none, scale, bias };
constexpr std::array<const char*, 3> namesOf(ScaleOperand) { return {{"none", "scale", "bias"}}; }

// y[o, c, i] = x[o, c, i]·scale[c] + bias[c]. Also what is left of BatchNorm with global statistics, Scale and Bias where
// no convolution takes them: scale and bias are computed when weights are packed.
struct Scale {
  static constexpr const char* kKind = "scale";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
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

// y = relu(scale · (x − mean) / √(variance + eps) + bias) over axis 1; batch statistics go into the running sums. The
// Scale layer behind it is a part of it.
struct BatchNorm {
  static constexpr const char* kKind = "batchNorm";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
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
  float negativeSlope = 0;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"negativeSlope", Role::attribute}, self.negativeSlope);
  }
};

// x where it is positive, else alpha · (eˣ − 1).
struct Elu {
  static constexpr const char* kKind = "elu";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
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

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// tanh x.
struct Tanh {
  static constexpr const char* kKind = "tanh";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// |x|.
struct AbsVal {
  static constexpr const char* kKind = "absval";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = true;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// (shift + scale·x)^power; 1 where the power is 0.
struct Power {
  static constexpr const char* kKind = "power";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = true;
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

// max(x, 0) + slope · min(x, 0), channels on axis 1.
struct PRelu {
  static constexpr const char* kKind = "prelu";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
  ParameterId slope = -1;  // [C], or one value with channelShared
  bool channelShared = false;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"slope", Role::learned}, self.slope);
    visit(Field{"channelShared", Role::attribute}, self.channelShared);
  }
};

// In training: of x, `ratio` (by chance) becomes 0, and the rest is divided by 1 − ratio. What becomes 0 is a function of
// seed, stream, rank, iteration, pass and place alone (Philox4x32-10, native/core/philox.h): a run that is resumed draws
// what the whole one would have, and the backward pass draws again what the forward pass drew.
struct Dropout {
  static constexpr const char* kKind = "dropout";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
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

// The sum, product or maximum of its inputs. Where inputs of max are equal the value is the same whichever wins.
struct Eltwise {
  static constexpr const char* kKind = "eltwise";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
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

enum class PoolingMethod { max, average };
constexpr std::array<const char*, 2> namesOf(PoolingMethod) { return {{"max", "average"}}; }

// The maximum or the mean of windows. The size of y is its shape's (Caffe's ceil and clip rules are the shape rules'
// affair). The mean divides by the window clipped to [−pad, size + pad): Caffe's rule.
struct Pooling {
  static constexpr const char* kKind = "pooling";
  static constexpr GradientReads kGradientReads = GradientReads::byRule;
  static constexpr bool kIsElementwise = false;
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

// eˣ over its sum along the channels.
struct Softmax {
  static constexpr const char* kKind = "softmax";
  static constexpr GradientReads kGradientReads = GradientReads::outputs;
  static constexpr bool kIsElementwise = false;
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

// The mean of −log of the probability of each label.
struct SoftmaxLoss {
  static constexpr const char* kKind = "softmaxLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
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

// Σ(a − b)² / (2·N), N the first dimension.
struct EuclideanLoss {
  static constexpr const char* kKind = "euclideanLoss";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

// The share of places whose label is among the best scores; a tie counts against the label.
struct Accuracy {
  static constexpr const char* kKind = "accuracy";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
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

// Inputs one behind the other.
struct Concat {
  static constexpr const char* kKind = "concat";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  int64_t axis = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"axis", Role::attribute, 0}, self.axis);
  }
};

// Its input in parts, whose sizes are the shapes of the outputs.
struct Slice {
  static constexpr const char* kKind = "slice";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;
  int64_t axis = 1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"axis", Role::attribute, 0}, self.axis);
  }
};

// The same values in another shape: Flatten, Reshape, Split.
struct Reshape {
  static constexpr const char* kKind = "reshape";
  static constexpr GradientReads kGradientReads = GradientReads::nothing;
  static constexpr bool kIsElementwise = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

enum class LrnRegion { across, within };
constexpr std::array<const char*, 2> namesOf(LrnRegion) { return {{"across", "within"}}; }

// x / (k + alpha/n · Σ x²)^beta. across: n = size channels; within: n = size², a mean over windows by the padding rule of
// pooling, and k = 1.
struct Lrn {
  static constexpr const char* kKind = "lrn";
  static constexpr GradientReads kGradientReads = GradientReads::inputs;
  static constexpr bool kIsElementwise = false;
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

// The gradient of an operation. An id of −1 stands for a tensor that is not there.
struct Gradient {
  static constexpr const char* kKind = "gradient";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  int32_t of = -1;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"of", Role::operation}, self.of);
  }
};

// Each input's mean over all processes that train together; this process's own values where there are no others.
struct AllMean {
  static constexpr const char* kKind = "allMean";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;

  template <class Self, class Visit>
  static void visitFields(Self&, Visit&&) {}
};

enum class UpdateRule { sgd, nesterov, adagrad, rmsprop, adadelta, adam };
constexpr std::array<const char*, 6> namesOf(UpdateRule) { return {{"sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"}}; }

enum class Regularization { L1, L2 };
constexpr std::array<const char*, 2> namesOf(Regularization) { return {{"L1", "L2"}}; }

// Caffe's SGDSolver::ApplyUpdate over all learnable parameters, in place: clip, normalise, regularise, rule. `first` ≠ 0
// empties the accumulators before the diffs are added, `last` = 0 ends after that; a parameter without an accumulator
// needs both set. Where a loss is not finite nothing is updated (Caffe would make every weight NaN): so the weights are
// still there that the fault can be looked for with.
struct Update {
  static constexpr const char* kKind = "update";
  static constexpr GradientReads kGradientReads = GradientReads::noGradient;
  static constexpr bool kIsElementwise = false;
  UpdateRule rule = UpdateRule::sgd;
  float momentum = 0;
  float momentum2 = 0.999f;
  float delta = 1e-8f;
  float rmsDecay = 0;
  std::optional<float> clipGradients;
  int64_t iterSize = 1;
  float lossScale = 1;
  float weightDecay = 0;
  Regularization regularization = Regularization::L2;
  std::vector<UpdatedParameter> parameters;

  template <class Self, class Visit>
  static void visitFields(Self& self, Visit&& visit) {
    visit(Field{"rule", Role::attribute}, self.rule);
    visit(Field{"momentum", Role::attribute}, self.momentum);
    visit(Field{"momentum2", Role::attribute}, self.momentum2);
    visit(Field{"delta", Role::attribute}, self.delta);
    visit(Field{"rmsDecay", Role::attribute}, self.rmsDecay);
    visit(Field{"clipGradients", Role::attribute}, self.clipGradients);
    visit(Field{"iterSize", Role::attribute, 1}, self.iterSize);
    visit(Field{"lossScale", Role::attribute}, self.lossScale);
    visit(Field{"weightDecay", Role::attribute}, self.weightDecay);
    visit(Field{"regularization", Role::attribute}, self.regularization);
    visit(Field{"parameters", Role::attribute}, self.parameters);
  }
};

using Attributes = std::variant<
    Convolution, InnerProduct, Scale, BatchNorm, Relu, Elu, Sigmoid, Tanh, AbsVal, Power, PRelu, Dropout, Eltwise,
    Pooling, Softmax, SoftmaxLoss, EuclideanLoss, Accuracy, Concat, Slice, Reshape, Lrn, Gradient, AllMean, Update>;

// Functions of each value alone: native/operations/elementwise/elementwise.h.
using Elementwise = std::variant<Relu, Elu, Sigmoid, Tanh, AbsVal, Power>;

}  // namespace resnode
