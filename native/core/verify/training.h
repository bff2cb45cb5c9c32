// Rules for gradients and updates.
#pragma once

#include <algorithm>
#include <type_traits>

#include "native/core/verify/subject.h"

namespace resnode::rules {

// The shape of every stride-th row and column, starting with the first.
inline Shape sampledShape(Shape shape, const Pair& stride) {
  if (shape.size() != 4) return shape;
  shape[2] = (shape[2] + stride.height - 1) / stride.height;
  shape[3] = (shape[3] + stride.width - 1) / stride.width;
  return shape;
}

inline void check(const SumBehindRelu& sum, const Subject& of) {
  const size_t norms = sum.eps.size();
  of.expect(norms <= 2, "eps may have at most two values, one per BatchNorm");
  of.places(2 + 3 * norms, 5 + 3 * norms, 1 + 2 * norms, 1 + 2 * norms);
  of.expect(sum.negativeSlope >= 0,
            "negativeSlope must not be negative, so that y is positive only where the ReLU's input is");
  const Shape& y = of.output(0);
  const size_t diffs = of.inputs() - 3 * norms;
  of.shape("inputs", 0, of.input(0), y);
  for (size_t i = 1; i < diffs; ++i)
    if (of.input(i) != y) of.shape("inputs", i, of.input(i), sampledShape(y, sum.stride));
  const int64_t channels = y.size() > 1 ? y[1] : 1;
  for (size_t i = 0; i < norms; ++i) {
    of.shape("inputs", diffs + 3 * i, of.input(diffs + 3 * i), y);
    for (size_t k : {1, 2}) {
      of.count("a BatchNorm's mean and variance", of.input(diffs + 3 * i + k), channels);
      of.count("a BatchNorm's sums", of.output(2 * i + k), channels);
    }
  }
}

// What a gradient reads of its operation's inputs (x) and outputs (y). The functions in ts/operations/schema.ts say the
// same (kGradientReads holds their data), and test/compile/verify.test.ts compares the two. `dx`, `dw`: the diffs that
// are requested. The gradients of the kinds in kReadsOwn read x, or y if the operation works in place.
template <class T>
constexpr bool kReadsOwn = std::is_same_v<T, Bnll> || std::is_same_v<T, Clip> || std::is_same_v<T, Log>;

inline bool readsInput(const Operation& forward, size_t i, const std::vector<bool>& dx, const std::vector<bool>& dw) {
  return forward.attributes.visit([&](const auto& of) -> bool {
    using T = std::decay_t<decltype(of)>;
    if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct> ||
                  std::is_same_v<T, Deconvolution> || std::is_same_v<T, Embed>)
      return i == 0 && dw[0];
    else if constexpr (std::is_same_v<T, Scale>) {
      const bool isScaled = of.operand == ScaleOperand::scale;
      return i == 0 ? dw[0] || (isScaled && dx[1]) : isScaled && dx[0];
    } else if constexpr (std::is_same_v<T, BatchNorm>)
      return i == 0 && ((of.statistics == Statistics::batch && dx[0]) || dw[0]);
    else if constexpr (std::is_same_v<T, Relu>) return !(of.negativeSlope >= 0);
    else if constexpr (std::is_same_v<T, Elu>) return !(of.alpha >= 0);
    else if constexpr (std::is_same_v<T, Power>) return of.power != 0 && of.power != 1 && of.scale != 0;
    else if constexpr (std::is_same_v<T, Dropout> || std::is_same_v<T, BatchReindex> || std::is_same_v<T, Unpool> ||
                       std::is_same_v<T, PsRoiPooling>)
      return i == 1;
    else if constexpr (std::is_same_v<T, HostFunction>) return true;
    else if constexpr (std::is_same_v<T, Reduction>) return of.method != ReductionMethod::sum;
    else if constexpr (std::is_same_v<T, Mvn>) return of.normalizeVariance;
    else if constexpr (kReadsOwn<T>) return !of.inPlace;
    else if constexpr (std::is_same_v<T, Eltwise>) return of.operation != EltwiseKind::sum;
    else if constexpr (std::is_same_v<T, Pooling>) return of.method == PoolingMethod::max && forward.outputs.size() < 2;
    else return T::kGradientReads == GradientReads::inputs;
  });
}

inline bool readsOutput(const Operation& forward, size_t i) {
  return forward.attributes.visit([&](const auto& of) -> bool {
    using T = std::decay_t<decltype(of)>;
    if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct> || std::is_same_v<T, Scale>)
      return of.relu.has_value();
    else if constexpr (std::is_same_v<T, BatchNorm>)
      return i == 0 ? of.relu && forward.inputs.size() == 1 : i < 3 && of.statistics == Statistics::batch;
    else if constexpr (std::is_same_v<T, Relu>) return of.negativeSlope >= 0;
    else if constexpr (std::is_same_v<T, HostFunction>) return true;
    else if constexpr (std::is_same_v<T, Pooling>) return i == 1;
    else if constexpr (kReadsOwn<T>) return of.inPlace;
    else if constexpr (std::is_same_v<T, Elu>) return of.alpha >= 0;
    else if constexpr (std::is_same_v<T, Eltwise>)
      return of.relu || (of.operation == EltwiseKind::prod && !of.stableProdGrad);
    else return T::kGradientReads == GradientReads::outputs;
  });
}

// How many inputs have a diff of their own. Labels, indices and Dropout's pass number have none, and the diff of a
// BatchNorm's residual is that of the sum.
template <class T>
constexpr size_t kInputsWithDiff =
    std::is_same_v<T, Embed> ? 0
    : std::is_same_v<T, ContrastiveLoss> || std::is_same_v<T, LstmUnit> || std::is_same_v<T, SmoothL1Loss> ||
            std::is_same_v<T, MultiBoxLoss>
        ? 2
    : std::is_same_v<T, Dropout> || std::is_same_v<T, SoftmaxLoss> || std::is_same_v<T, InfogainLoss> ||
            std::is_same_v<T, SigmoidCrossEntropyLoss> || std::is_same_v<T, MultinomialLogisticLoss> ||
            std::is_same_v<T, HingeLoss> || std::is_same_v<T, BatchReindex> || std::is_same_v<T, Remember> ||
            std::is_same_v<T, StochasticPooling> || std::is_same_v<T, Unpool> || std::is_same_v<T, RoiPooling> ||
            std::is_same_v<T, PsRoiPooling> || std::is_same_v<T, RoiAlign> || std::is_same_v<T, RoiMaskPooling> ||
            std::is_same_v<T, BatchNorm>
        ? 1
        : SIZE_MAX;

// Whether a diff of a convolution's input holds only the positions that its 1×1 windows read.
inline bool isSampled(const Operation& forward, const Program& program, const Shape& diff) {
  const auto* convolution = forward.attributes.as<Convolution>();
  if (!convolution || convolution->kernel.height != 1 || convolution->kernel.width != 1 ||
      convolution->pad.height != 0 || convolution->pad.width != 0)
    return false;
  return diff == sampledShape(program.tensors[forward.inputs[0]].shape, convolution->stride);
}

inline void check(const Gradient& gradient, const Subject& of) {
  const Operation& forward = of.program.operations[gradient.of];
  const std::vector<ParameterId> none;
  std::vector<std::optional<ParameterId>> learned;
  bool hasGradient = false, hasStatistics = true, takesSums = false;
  size_t withDiff = 0;
  forward.attributes.visit([&](const auto& attributes) {
    using T = std::decay_t<decltype(attributes)>;
    hasGradient = T::kGradientReads != GradientReads::noGradient;
    withDiff = kInputsWithDiff<T>;
    if constexpr (std::is_same_v<T, BatchNorm>) {
      const bool isBatch = attributes.statistics == Statistics::batch;
      hasStatistics = !isBatch || forward.outputs.size() >= 3;
      takesSums = isBatch && (!attributes.relu || forward.inputs.size() == 2);
    }
    if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct>)
      of.expect(!attributes.clip && !attributes.slopes, "an operation with a fused clip or slopes has no gradient");
    T::visitFields(attributes, [&](Field field, const auto& value) {
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, ParameterId> || std::is_same_v<Value, std::optional<ParameterId>>) {
        if (field.role == Role::learned) learned.push_back(value);
      }
    });
  });
  if (!hasGradient) of.fail("layer \"" + forward.layer + "\" has no gradient");
  of.expect(hasStatistics, "its operation must output the statistics of the batch");
  const size_t read = forward.inputs.size(), made = forward.outputs.size();
  const bool hasSums = of.inputs() == read + 2 * made + 2 && takesSums;
  const size_t places = read + 2 * made + (hasSums ? 2 : 0);
  of.places(places, places, read + learned.size(), read + learned.size());
  for (size_t i = read + 2 * made; i < places; ++i) {
    of.expect(of.operation.inputs[i] >= 0, "both sums must be given");
    of.count("a BatchNorm's sums", of.input(i), elementCount(of.program.tensors[forward.outputs[1]].shape));
  }
  std::vector<bool> dx, dw;
  for (size_t i = 0; i < of.outputs(); ++i) {
    const bool isAsked = of.operation.outputs[i] >= 0;
    (i < read ? dx : dw).push_back(isAsked);
    if (!isAsked) continue;
    if (i < read) {
      of.expect(i < withDiff, "the diff of an input that has none is requested");
      if (i > 0 || !isSampled(forward, of.program, of.output(0)))
        of.shape("outputs", i, of.output(i), of.program.tensors[forward.inputs[i]].shape);
    } else {
      of.expect(!hasSums, "the diff of a parameter is requested, but the given sums are that diff");
      of.expect(learned[i - read].has_value(), "the diff of a missing parameter is requested");
      of.count("the diff of a parameter", of.output(i), elementCount(of.program.parameters[*learned[i - read]].shape));
    }
  }
  dx.resize(std::max<size_t>(dx.size(), 2));
  dw.resize(2);
  const bool isAsked =
      std::any_of(of.operation.outputs.begin(), of.operation.outputs.end(), [](TensorId id) { return id >= 0; });
  for (size_t i = 0; i < read + 2 * made; ++i) {
    const TensorId stands = i < read ? forward.inputs[i] : forward.outputs[(i - read) % made];
    if (of.operation.inputs[i] >= 0) of.shape("inputs", i, of.input(i), of.program.tensors[stands].shape);
    else if (isAsked && i < read + made &&
             (i < read ? readsInput(forward, i, dx, dw) : readsOutput(forward, i - read))) {
      of.fail("inputs[" + std::to_string(i) + "] is needed");
    }
  }
}

inline void check(const AllMean&, const Subject& of) {
  of.places(0, SIZE_MAX, of.inputs(), of.inputs());
  for (size_t i = 0; i < of.inputs(); ++i) {
    const bool isThere = of.operation.inputs[i] >= 0;
    of.expect(isThere == (of.operation.outputs[i] >= 0),
              "an input and its output must both be given or both be absent");
    if (isThere) of.shape("outputs", i, of.output(i), of.input(i));
  }
}

inline void check(const Update& update, const Subject& of) {
  const size_t places = 1 + update.parameters.size();
  of.places(places, SIZE_MAX, 0, 1);
  for (size_t i = 0; i < of.inputs(); ++i)
    of.expect(of.operation.inputs[i] >= 0 || (i > 0 && i < places), "the schedule and the losses must be given");
  of.count("inputs[0]", of.input(0), 5);
  if (of.outputs() > 0) {
    of.expect(of.operation.outputs[0] >= 0, "outputs[0] must be given");
    of.count("outputs[0]", of.output(0), 1);
  }
  const bool isAdam = update.rule == UpdateRule::adam || update.rule == UpdateRule::adamw;
  const size_t histories = isAdam || update.rule == UpdateRule::adadelta ? 2 : 1;
  of.expect(!update.dampened || update.rule == UpdateRule::sgd, "dampened is only for sgd");
  for (size_t k = 0; k < update.parameters.size(); ++k) {
    const auto& [parameter, history, accumulator, average, lrMult, decayMult] = update.parameters[k];
    const int64_t count = elementCount(of.program.parameters[parameter].shape);
    of.expect(history.size() == histories, "history must have one parameter, or two for adam, adamw and adadelta");
    of.isMutable("parameters[].parameter", parameter);
    for (ParameterId each : history) {
      of.parameter("parameters[].history", each, count);
      of.isMutable("parameters[].history", each);
    }
    of.parameter("parameters[].accumulator", accumulator, count);
    if (accumulator) of.isMutable("parameters[].accumulator", *accumulator);
    of.parameter("parameters[].average", average, count);
    if (average) of.isMutable("parameters[].average", *average);
    if (of.operation.inputs[k + 1] >= 0) of.count("a parameter's diff", of.input(k + 1), count);
  }
}

}  // namespace resnode::rules
