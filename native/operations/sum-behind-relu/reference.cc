#include <cmath>

#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

// The value of a diff at a position of y. A sampled diff holds every stride-th position.
double diffAt(const View& diff, const Shape& y, const Pair& stride, int64_t i) {
  if (*diff.shape == y) return diff.data[i];
  const int64_t line = i / y[3], w = i % y[3], h = line % y[2], plane = line / y[2];
  if (h % stride.height != 0 || w % stride.width != 0) return 0;
  const Shape& small = *diff.shape;
  return diff.data[(plane * small[2] + h / stride.height) * small[3] + w / stride.width];
}

// split_layer.cpp adds the diffs of a blob's readers, relu_layer.cpp applies the derivative, and batch_norm_layer.cpp
// and scale_layer.cpp sum the result and its products with the normalised values.
void forward(const SumBehindRelu& op, const Arguments& arguments) {
  const Shape& shape = *arguments.outputs[0].shape;
  const size_t diffs = arguments.inputs.size() - 3 * op.eps.size();
  const float* y = arguments.inputs[0].data;
  float* through = arguments.outputs[0].data;
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    double sum = 0;
    for (size_t k = 1; k < diffs; ++k) sum += diffAt(arguments.inputs[k], shape, op.stride, i);
    through[i] = static_cast<float>(y[i] > 0 ? sum : sum * op.negativeSlope);
  }
  const int64_t channels = shape.size() > 1 ? shape[1] : 1, inner = elementCount(shape) / (shape[0] * channels);
  for (size_t k = 0; k < op.eps.size(); ++k) {
    const View* const read = &arguments.inputs[diffs + 3 * k];
    for (int64_t c = 0; c < channels; ++c) {
      const double mean = read[1].data[c], inverse = 1 / std::sqrt(static_cast<double>(read[2].data[c]) + op.eps[k]);
      double sum = 0, product = 0;
      for (int64_t o = 0; o < shape[0]; ++o) {
        for (int64_t i = (o * channels + c) * inner; i < (o * channels + c + 1) * inner; ++i) {
          sum += through[i];
          product += through[i] * ((read[0].data[i] - mean) * inverse);
        }
      }
      arguments.outputs[1 + 2 * k].data[c] = static_cast<float>(sum);
      arguments.outputs[2 + 2 * k].data[c] = static_cast<float>(product);
    }
  }
}

const Loops<SumBehindRelu> kSumBehindRelu{forward};

}  // namespace
}  // namespace resnode::reference
