#include <algorithm>

#include "operations.h"

namespace resnode::reference {

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

void runEltwise(const Eltwise& eltwise, const Arguments& arguments) {
  float* y = arguments.outputs[0].data;
  for (int64_t i = 0; i < elementCount(*arguments.outputs[0].shape); ++i) {
    double result = arguments.inputs[0].data[i];
    if (eltwise.operation == EltwiseKind::sum) result *= eltwise.coefficients[0];
    for (size_t k = 1; k < arguments.inputs.size(); ++k) {
      const double value = arguments.inputs[k].data[i];
      if (eltwise.operation == EltwiseKind::sum) result += eltwise.coefficients[k] * value;
      if (eltwise.operation == EltwiseKind::prod) result *= value;
      // eltwise_layer.cpp: the first two are compared one way round, later ones the other; not-a-number is never greater.
      if (eltwise.operation == EltwiseKind::max && (k == 1 ? !(result > value) : value > result)) result = value;
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

}  // namespace resnode::reference
