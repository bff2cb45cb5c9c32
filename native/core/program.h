// The Program as native code sees it: ts/program/program.ts is the same in TypeScript and says what each kind
// means (inputs and outputs by position); change both together. Plain data, validated once (validate.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace resnode {

using TensorId = int32_t;
using ParameterId = int32_t;
using Shape = std::vector<int64_t>;

inline int64_t elementCount(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dimension : shape) count *= dimension;
  return count;
}

struct Pair {
  int64_t height = 1;
  int64_t width = 1;
};

struct FusedRelu {
  float negativeSlope = 0;
};

struct Tensor {
  std::string name;
  Shape shape;  // as users see it, row-major N×C×H×W, float32
};

struct Parameter {
  std::string name;
  Shape shape;
  bool isMutable = false;
};

struct Convolution {
  ParameterId weights = -1;  // [num_output, C/group, kh, kw]
  std::optional<ParameterId> bias;  // [num_output]
  Pair kernel, stride, pad, dilation;
  int64_t group = 1;
  std::optional<FusedRelu> relu;
};

struct InnerProduct {
  ParameterId weights = -1;  // [N, K], or [K, N] with transpose
  std::optional<ParameterId> bias;  // [N]
  int64_t axis = 1;
  int64_t numOutput = 0;
  bool transpose = false;
  std::optional<FusedRelu> relu;
};

enum class ScaleOperand { none, scale, bias };

struct Scale {
  ScaleOperand operand = ScaleOperand::none;
  std::optional<ParameterId> scale, bias;
  int64_t outer = 1, channels = 1, inner = 1;
  std::optional<FusedRelu> relu;
};

struct BatchNorm {
  ParameterId mean = -1, variance = -1, factor = -1;
  float eps = 1e-5f;
  float movingAverageFraction = 0.999f;
  bool globalStatistics = false;
  bool update = true;
  bool isSynchronised = false;  // batch statistics over all processes
  std::optional<ParameterId> scale, bias;
  std::optional<FusedRelu> relu;
};

struct Relu {
  float negativeSlope = 0;
};
struct Elu {
  float alpha = 1;
};
struct Sigmoid {};
struct Tanh {};
struct AbsVal {};
struct Power {
  float power = 1, scale = 1, shift = 0;
};
struct PRelu {
  ParameterId slope = -1;
  bool channelShared = false;
};

// What becomes 0 is drawn by Philox (philox.h): key {seed, stream}, counter {four values, iteration, pass, rank}.
struct Dropout {
  float ratio = 0.5f;  // of what becomes 0
  uint32_t seed = 0, stream = 0, rank = 0;
};

enum class EltwiseKind { sum, prod, max };

struct Eltwise {
  EltwiseKind operation = EltwiseKind::sum;
  std::vector<float> coefficients;  // one an input (all 1 where Caffe gives none)
  bool stableProdGrad = true;
  std::optional<FusedRelu> relu;
};

enum class PoolingMethod { max, average };

struct Pooling {
  PoolingMethod method = PoolingMethod::max;
  Pair kernel, stride, pad;
};

struct Softmax {
  int64_t outer = 1, channels = 1, inner = 1;
};

enum class Normalization { full, valid, batchSize, none };

struct SoftmaxLoss {
  int64_t outer = 1, channels = 1, inner = 1;
  std::optional<int64_t> ignoreLabel;
  Normalization normalization = Normalization::valid;
};

struct EuclideanLoss {};

struct Accuracy {
  int64_t topK = 1;
  int64_t outer = 1, channels = 1, inner = 1;
  std::optional<int64_t> ignoreLabel;
};

struct Concat {
  int64_t axis = 1;
};
struct Slice {
  int64_t axis = 1;
};
struct Reshape {};

enum class LrnRegion { across, within };

struct Lrn {
  LrnRegion region = LrnRegion::across;
  int64_t size = 5;
  float alpha = 1, beta = 0.75f, k = 1;
};

struct Gradient {
  int32_t of = -1;  // index of the operation that it differentiates
};

// The mean of each input over all processes that train together, in place.
struct AllMean {};

enum class UpdateRule { sgd, nesterov, adaGrad, rmsProp, adaDelta, adam };
enum class Regularization { l1, l2 };

struct UpdatedParameter {
  ParameterId parameter = -1;
  std::vector<ParameterId> history;
  std::optional<ParameterId> accumulator;
  float lrMult = 1, decayMult = 1;
};

// Inputs beyond the diffs are losses: where one is not finite, nothing is updated. Where there is an output, it says (1 or 0)
// whether the last pass's diffs, accumulated ones together, were not finite: then nothing is updated either.
struct Update {
  UpdateRule rule = UpdateRule::sgd;
  float momentum = 0, momentum2 = 0.999f, delta = 1e-8f, rmsDecay = 0;
  std::optional<float> clipGradients;
  int64_t iterSize = 1;
  float lossScale = 1;  // the diffs are so many times what they should be
  float weightDecay = 0;
  Regularization regularization = Regularization::l2;
  std::vector<UpdatedParameter> parameters;
};

using Attributes =
    std::variant<Convolution, InnerProduct, Scale, BatchNorm, Relu, Elu, Sigmoid, Tanh, AbsVal, Power, PRelu, Dropout, Eltwise,
                 Pooling, Softmax, SoftmaxLoss, EuclideanLoss, Accuracy, Concat, Slice, Reshape, Lrn, Gradient, AllMean, Update>;

struct Operation {
  std::string layer;
  std::vector<TensorId> inputs, outputs;  // of Gradient, AllMean and Update also −1: not there
  Attributes attributes;
};

class Communicator;

struct Program {
  std::string name;
  std::vector<Tensor> tensors;
  std::vector<Parameter> parameters;
  std::vector<Operation> operations;
  std::vector<TensorId> inputs, outputs;
  std::shared_ptr<Communicator> communicator;  // the processes of AllMean; null: this one is alone
};

}  // namespace resnode
