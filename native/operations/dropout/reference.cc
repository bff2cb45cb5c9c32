// Dropout in phase TRAIN (dropout_layer.cpp): Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
// Overfitting", JMLR 2014. Remaining values are scaled, so that phase TEST needs no scaling.
#include <algorithm>

#include "native/core/philox.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// Forward and backward passes are the same. The backward pass draws the mask again, so it need not be stored.
void drop(const Dropout& dropout, const View& pass, const float* from, float* to, int64_t count) {
  const float scale = static_cast<float>(1. / (1. - dropout.ratio));
  const uint64_t threshold = static_cast<uint64_t>(dropout.ratio * 4294967296.);  // of 2^32
  const uint32_t iteration = static_cast<uint32_t>(pass.data[0]), within = static_cast<uint32_t>(pass.data[1]);
  for (int64_t start = 0; start < count; start += 4) {
    const PhiloxWords drawn =
        philox({{static_cast<uint32_t>(start / 4), iteration, within, dropout.rank}}, dropout.seed, dropout.stream);
    for (int64_t i = start; i < std::min(start + 4, count); ++i)
      to[i] = drawn.word[i - start] < threshold ? 0.f : from[i] * scale;
  }
}

void forward(const Dropout& dropout, const Arguments& arguments) {
  const View& x = arguments.inputs[0];
  drop(dropout, arguments.inputs[1], x.data, arguments.outputs[0].data, elementCount(*x.shape));
}

void backward(const Dropout& dropout, const GradientArguments& arguments) {
  float* dx = arguments.dx[0].data;
  const float* dy = arguments.dy[0].data;
  const int64_t count = elementCount(*arguments.x[0].shape);
  if (!dx) return;
  if (dy) drop(dropout, arguments.x[1], dy, dx, count);
  else std::fill_n(dx, count, 0.f);
}

const Loops<Dropout> kDropout{forward, backward};

}  // namespace
}  // namespace resnode::reference
