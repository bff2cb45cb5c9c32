#include <algorithm>
#include <cmath>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// softmax_layer.cpp. Every step is stored in float32, as there: the gradient of a class with a probability near 1 is a
// difference of numbers near 1, in which a single rounding shows.
void forward(const Softmax& softmax, const Arguments& arguments) {
  const int64_t channels = softmax.channels, inner = softmax.inner;
  forEach(arguments.spread, softmax.outer * inner, std::max<int64_t>(1, 1024 / channels), [&](int64_t place) {
    const int64_t base = place / inner * channels * inner + place % inner;
    const float* x = arguments.inputs[0].data + base;
    float* y = arguments.outputs[0].data + base;
    float maximum = -INFINITY;
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) maximum = std::max(maximum, x[c * inner]);
    for (int64_t c = 0; c < channels; ++c) {
      const float below = x[c * inner] - maximum;
      y[c * inner] = static_cast<float>(std::exp(static_cast<double>(below)));
      sum += y[c * inner];
    }
    const float total = static_cast<float>(sum);
    for (int64_t c = 0; c < channels; ++c) y[c * inner] /= total;
  });
}

// softmax_layer.cpp. Products and sum are stored in float32, as there; see `forward`.
void backward(const Softmax& softmax, const GradientArguments& arguments) {
  if (!arguments.dx[0].data || !arguments.dy[0].data) return;
  for (int64_t o = 0; o < softmax.outer; ++o) {
    for (int64_t i = 0; i < softmax.inner; ++i) {
      const int64_t base = o * softmax.channels * softmax.inner + i;
      const float* y = arguments.y[0].data + base;
      const float* dy = arguments.dy[0].data + base;
      double sum = 0;
      for (int64_t c = 0; c < softmax.channels; ++c)
        sum += static_cast<float>(dy[c * softmax.inner] * y[c * softmax.inner]);
      const float product = static_cast<float>(sum);
      for (int64_t c = 0; c < softmax.channels; ++c) {
        const int64_t at = c * softmax.inner;
        arguments.dx[0].data[base + at] = y[at] * (dy[at] - product);
      }
    }
  }
}

const Loops<Softmax> kSoftmax{forward, backward};

}  // namespace
}  // namespace resnode::reference
