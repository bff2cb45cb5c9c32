#include <algorithm>
#include <cmath>

#include "gradients.h"

namespace resnode::reference {

// softmax_layer.cpp; products and sum are stored in float32 as there, see runSoftmax.
void gradientOf(const Softmax& softmax, const GradientArguments& arguments) {
  if (!arguments.dx[0].data || !arguments.dy[0].data) return;
  for (int64_t o = 0; o < softmax.outer; ++o) {
    for (int64_t i = 0; i < softmax.inner; ++i) {
      const int64_t base = o * softmax.channels * softmax.inner + i;
      const float* y = arguments.y[0].data + base;
      const float* dy = arguments.dy[0].data + base;
      double sum = 0;
      for (int64_t c = 0; c < softmax.channels; ++c) sum += static_cast<float>(dy[c * softmax.inner] * y[c * softmax.inner]);
      const float product = static_cast<float>(sum);
      for (int64_t c = 0; c < softmax.channels; ++c) {
        const int64_t at = c * softmax.inner;
        arguments.dx[0].data[base + at] = y[at] * (dy[at] - product);
      }
    }
  }
}

// softmax_loss_layer.cpp: (p − 1 at the label) · the loss's diff / normaliser, 0 where the label is ignored. Labels have
// no diff.
void gradientOf(const SoftmaxLoss& loss, const GradientArguments& arguments, const std::string& layer) {
  float* dx = arguments.dx[0].data;
  if (!dx) return;
  const float* labels = arguments.x[1].data;
  int64_t valid = 0;
  for (int64_t i = 0; i < loss.outer * loss.inner; ++i) valid += !isIgnored(labels[i], loss.ignoreLabel);
  const double weight = (arguments.dy[0].data ? arguments.dy[0].data[0] : 0.0) / lossNormalizer(loss, valid);
  for (int64_t o = 0; o < loss.outer; ++o) {
    for (int64_t i = 0; i < loss.inner; ++i) {
      const int64_t base = o * loss.channels * loss.inner + i;
      const float label = labels[o * loss.inner + i];
      if (isIgnored(label, loss.ignoreLabel)) {
        for (int64_t c = 0; c < loss.channels; ++c) dx[base + c * loss.inner] = 0;
        continue;
      }
      const int64_t target = checkedLabel(label, loss.channels, layer);
      const float* x = arguments.x[0].data + base;
      double maximum = -INFINITY, sum = 0;
      for (int64_t c = 0; c < loss.channels; ++c) maximum = std::max<double>(maximum, x[c * loss.inner]);
      for (int64_t c = 0; c < loss.channels; ++c) sum += std::exp(x[c * loss.inner] - maximum);
      for (int64_t c = 0; c < loss.channels; ++c) {
        const double probability = std::exp(x[c * loss.inner] - maximum) / sum;
        dx[base + c * loss.inner] = static_cast<float>(weight * (probability - (c == target ? 1 : 0)));
      }
    }
  }
}

// euclidean_loss_layer.cpp: ±(a − b) · the loss's diff / N.
void gradientOf(const EuclideanLoss&, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const double weight = (arguments.dy[0].data ? arguments.dy[0].data[0] : 0.0) / static_cast<double>(shape[0]);
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const double diff = weight * (static_cast<double>(arguments.x[0].data[i]) - arguments.x[1].data[i]);
    if (arguments.dx[0].data) arguments.dx[0].data[i] = static_cast<float>(diff);
    if (arguments.dx[1].data) arguments.dx[1].data[i] = static_cast<float>(-diff);
  }
}

}  // namespace resnode::reference
