#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "operations.h"

namespace resnode::reference {
namespace {

template <class Function>
void map(const Arguments& arguments, Function function) {
  const float* x = arguments.inputs[0].data;
  float* y = arguments.outputs[0].data;
  const int64_t count = elementCount(*arguments.inputs[0].shape);
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(function(static_cast<double>(x[i])));
}

void runPRelu(const PRelu& prelu, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  const float* slopes = arguments.parameters[prelu.slope];
  const int64_t channels = shape[1], inner = elementCount(shape) / (shape[0] * channels);
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const float value = arguments.inputs[0].data[i];
    const float slope = slopes[prelu.channelShared ? 0 : i / inner % channels];
    arguments.outputs[0].data[i] = value > 0 ? value : value * slope;
  }
}

// Slice and Concat are the same copy in two directions.
template <class Copy>
void alongAxis(const std::vector<View>& parts, const Shape& whole, int64_t axis, Copy copy) {
  int64_t outer = 1, inner = 1, start = 0;
  for (int64_t i = 0; i < axis; ++i) outer *= whole[i];
  for (size_t i = axis + 1; i < whole.size(); ++i) inner *= whole[i];
  for (const View& part : parts) {
    const int64_t length = (*part.shape)[axis] * inner;
    for (int64_t o = 0; o < outer; ++o) copy(part.data + o * length, (o * whole[axis] * inner) + start, length);
    start += length;
  }
}

}  // namespace

void runEltwise(const Eltwise& eltwise, const Arguments& arguments) {
  float* y = arguments.outputs[0].data;
  for (int64_t i = 0; i < elementCount(*arguments.outputs[0].shape); ++i) {
    double result = arguments.inputs[0].data[i];
    if (eltwise.operation == EltwiseKind::sum) result *= eltwise.coefficients[0];
    for (size_t k = 1; k < arguments.inputs.size(); ++k) {
      const double value = arguments.inputs[k].data[i];
      if (eltwise.operation == EltwiseKind::sum) result += eltwise.coefficients[k] * value;
      if (eltwise.operation == EltwiseKind::prod) result *= value;
      if (eltwise.operation == EltwiseKind::max) result = std::max(result, value);
    }
    if (eltwise.relu && result < 0) result *= eltwise.relu->negativeSlope;
    y[i] = static_cast<float>(result);
  }
}

void runConcat(const Concat& concat, const Arguments& arguments) {
  float* y = arguments.outputs[0].data;
  alongAxis(arguments.inputs, *arguments.outputs[0].shape, concat.axis,
            [y](const float* part, int64_t at, int64_t length) { std::copy_n(part, length, y + at); });
}

void runSlice(const Slice& slice, const Arguments& arguments) {
  const float* x = arguments.inputs[0].data;
  alongAxis(arguments.outputs, *arguments.inputs[0].shape, slice.axis,
            [x](float* part, int64_t at, int64_t length) { std::copy_n(x + at, length, part); });
}

void run(const Operation& operation, const Arguments& arguments) {
  std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>) runConvolution(op, arguments);
        else if constexpr (std::is_same_v<T, InnerProduct>) runInnerProduct(op, arguments);
        else if constexpr (std::is_same_v<T, Scale>) runScale(op, arguments);
        else if constexpr (std::is_same_v<T, BatchNorm>) runBatchNorm(op, arguments);
        else if constexpr (std::is_same_v<T, Relu>)
          map(arguments, [&](double x) { return x > 0 ? x : x * op.negativeSlope; });
        else if constexpr (std::is_same_v<T, Elu>)
          map(arguments, [&](double x) { return x > 0 ? x : op.alpha * std::expm1(x); });
        else if constexpr (std::is_same_v<T, Sigmoid>)
          map(arguments, [](double x) { return 1 / (1 + std::exp(-x)); });
        else if constexpr (std::is_same_v<T, Tanh>) map(arguments, [](double x) { return std::tanh(x); });
        else if constexpr (std::is_same_v<T, AbsVal>) map(arguments, [](double x) { return std::fabs(x); });
        else if constexpr (std::is_same_v<T, Power>)
          // power_layer.cpp: power 0 is 1 whatever the base, and power 1 skips pow.
          map(arguments, [&](double x) {
            const double base = op.shift + op.scale * x;
            return op.power == 1 ? base : op.power == 0 ? 1.0 : std::pow(base, static_cast<double>(op.power));
          });
        else if constexpr (std::is_same_v<T, PRelu>) runPRelu(op, arguments);
        else if constexpr (std::is_same_v<T, Eltwise>) runEltwise(op, arguments);
        else if constexpr (std::is_same_v<T, Pooling>) runPooling(op, arguments);
        else if constexpr (std::is_same_v<T, Softmax>) runSoftmax(op, arguments);
        else if constexpr (std::is_same_v<T, SoftmaxLoss>) runSoftmaxLoss(op, operation.layer, arguments);
        else if constexpr (std::is_same_v<T, EuclideanLoss>) runEuclideanLoss(arguments);
        else if constexpr (std::is_same_v<T, Accuracy>) runAccuracy(op, operation.layer, arguments);
        else if constexpr (std::is_same_v<T, Concat>) runConcat(op, arguments);
        else if constexpr (std::is_same_v<T, Slice>) runSlice(op, arguments);
        else if constexpr (std::is_same_v<T, Lrn>) runLrn(op, arguments);
        else if constexpr (std::is_same_v<T, Gradient> || std::is_same_v<T, Update>)
          throw Error("device/unsupported", "the reference device does not train yet", operation.layer);
        else if constexpr (std::is_same_v<T, Reshape>)
          for (const View& output : arguments.outputs)
            std::copy_n(arguments.inputs[0].data, elementCount(*arguments.inputs[0].shape), output.data);
      },
      operation.attributes);
}

}  // namespace resnode::reference
