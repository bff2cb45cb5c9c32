#include <algorithm>

#include "gradients.h"

namespace resnode::reference {
// prelu_layer.cpp
void gradientOf(const PRelu& prelu, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const float* x = arguments.x[0].data;
  const float* slopes = arguments.parameters[prelu.slope];
  const int64_t channels = shape[1], inner = elementCount(shape) / (shape[0] * channels);
  const auto channel = [&](int64_t i) { return prelu.channelShared ? 0 : i / inner % channels; };
  mapDiffs(arguments, [&](double dy, int64_t i) { return x[i] > 0 ? dy : dy * slopes[channel(i)]; });
  if (!arguments.dw[0].data) return;
  std::vector<double> sums(prelu.channelShared ? 1 : channels);
  for (int64_t i = 0; arguments.dy[0].data && i < elementCount(shape); ++i) {
    if (!(x[i] > 0)) sums[channel(i)] += static_cast<double>(arguments.dy[0].data[i]) * x[i];
  }
  std::copy(sums.begin(), sums.end(), arguments.dw[0].data);
}

// eltwise_layer.cpp. The diff of a product is the product of the others or, where it need not be stable, what was made
// over what was read: not a number where that is 0. Of equal maxima the second of the first two takes the diff, a later
// input only where it is greater.
void gradientOf(const Eltwise& eltwise, const GradientArguments& arguments) {
  const size_t inputs = arguments.x.size();
  const auto winner = [&](int64_t i) {
    size_t best = arguments.x[0].data[i] > arguments.x[1].data[i] ? 0 : 1;
    for (size_t k = 2; k < inputs; ++k) {
      if (arguments.x[k].data[i] > arguments.x[best].data[i]) best = k;
    }
    return best;
  };
  const bool isProduct = eltwise.operation == EltwiseKind::prod && eltwise.stableProdGrad;
  const bool isQuotient = eltwise.operation == EltwiseKind::prod && !eltwise.stableProdGrad;
  for (int64_t i = 0; i < elementCount(*arguments.y[0].shape); ++i) {
    const double dy = behindRelu(eltwise.relu, arguments.y[0], arguments.dy[0], i);
    const size_t best = eltwise.operation == EltwiseKind::max ? winner(i) : 0;
    for (size_t k = 0; k < inputs; ++k) {
      if (!arguments.dx[k].data) continue;
      double diff = dy;
      if (eltwise.operation == EltwiseKind::sum) diff *= eltwise.coefficients[k];
      if (eltwise.operation == EltwiseKind::max && k != best) diff = 0;
      if (isQuotient) diff *= static_cast<double>(arguments.y[0].data[i]) / arguments.x[k].data[i];
      for (size_t j = 0; isProduct && j < inputs; ++j) {
        if (j != k) diff *= arguments.x[j].data[i];
      }
      arguments.dx[k].data[i] = static_cast<float>(diff);
    }
  }
}

void gradientOf(const Concat& concat, const GradientArguments& arguments) {
  const float* dy = arguments.dy[0].data;
  alongAxis(arguments.dx, *arguments.y[0].shape, concat.axis, [dy](float* part, int64_t at, int64_t length) {
    if (dy) std::copy_n(dy + at, length, part);
    else std::fill_n(part, length, 0.f);
  });
}

void gradientOf(const Slice& slice, const GradientArguments& arguments) {
  float* dx = arguments.dx[0].data;
  if (!dx) return;
  std::fill_n(dx, elementCount(*arguments.x[0].shape), 0.f);
  alongAxis(arguments.dy, *arguments.x[0].shape, slice.axis,
            [dx](const float* part, int64_t at, int64_t length) { std::copy_n(part, length, dx + at); });
}

void gradientOf(const Reshape&, const GradientArguments& arguments) {
  mapDiffs(arguments, [](double dy, int64_t) { return dy; });
}

}  // namespace resnode::reference
