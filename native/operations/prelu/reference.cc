#include <algorithm>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// prelu_layer.cpp multiplies the slope by 0 where x is positive, so NaN and infinite slopes make the whole channel NaN.
double slopeAt(double x, double slope) { return x > 0 ? 1 + slope * 0 : slope; }

void forward(const PRelu& prelu, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  const float* slopes = arguments.parameters[prelu.slope];
  const int64_t channels = shape[1], inner = elementCount(shape) / (shape[0] * channels);
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const float value = arguments.inputs[0].data[i];
    const float slope = slopes[prelu.channelShared ? 0 : i / inner % channels];
    arguments.outputs[0].data[i] = static_cast<float>(value * slopeAt(value, slope));
  }
}

// prelu_layer.cpp
void backward(const PRelu& prelu, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const float* x = arguments.x[0].data;
  const float* slopes = arguments.parameters[prelu.slope];
  const int64_t channels = shape[1], inner = elementCount(shape) / (shape[0] * channels);
  const auto channel = [&](int64_t i) { return prelu.channelShared ? 0 : i / inner % channels; };
  mapDiffs(arguments, [&](double dy, int64_t i) { return dy * slopeAt(x[i], slopes[channel(i)]); });
  if (!arguments.dw[0].data) return;
  std::vector<double> sums(prelu.channelShared ? 1 : channels);
  for (int64_t i = 0; arguments.dy[0].data && i < elementCount(shape); ++i) {
    if (!(x[i] > 0)) sums[channel(i)] += static_cast<double>(arguments.dy[0].data[i]) * x[i];
  }
  std::copy(sums.begin(), sums.end(), arguments.dw[0].data);
}

const Loops<PRelu> kPRelu{forward, backward};

}  // namespace
}  // namespace resnode::reference
