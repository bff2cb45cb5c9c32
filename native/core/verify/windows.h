// Rules for kinds that move a window over planes.
#pragma once

#include "native/core/portable.h"
#include "native/core/verify/subject.h"

namespace resnode::rules {

inline int64_t windows(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  const int64_t last = size + 2 * pad - dilation * (kernel - 1) - 1;
  return last < 0 ? 0 : last / stride + 1;
}

inline void check(const Convolution& convolution, const Subject& of) {
  of.places(1, 2, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [weights, bias, kernel, stride, pad, dilation, group, relu, clip, slopes] = convolution;
  of.expect(x[1] % group == 0 && y[1] % group == 0, "group must divide the channels of inputs and outputs");
  of.shape("outputs", 0, y,
           {x[0], y[1], windows(x[2], kernel.height, stride.height, pad.height, dilation.height),
            windows(x[3], kernel.width, stride.width, pad.width, dilation.width)});
  of.parameter("weights", weights, product({y[1], x[1] / group, kernel.height, kernel.width}));
  of.parameter("bias", bias, y[1]);
  of.activation(convolution, y[1]);
  if (of.inputs() > 1) of.shape("inputs", 1, of.input(1), y);
}

inline void check(const Deconvolution& deconvolution, const Subject& of) {
  of.places(1, 1, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [weights, bias, kernel, stride, pad, dilation, group] = deconvolution;
  of.expect(x[1] % group == 0 && y[1] % group == 0, "group must divide the channels of inputs and outputs");
  const auto size = [](int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad;
  };
  of.shape("outputs", 0, y,
           {x[0], y[1], size(x[2], kernel.height, stride.height, pad.height, dilation.height),
            size(x[3], kernel.width, stride.width, pad.width, dilation.width)});
  of.parameter("weights", weights, product({x[1], y[1] / group, kernel.height, kernel.width}));
  of.parameter("bias", bias, y[1]);
}

inline void check(const Pooling& pooling, const Subject& of) {
  of.places(1, 1, 1, pooling.method == PoolingMethod::max ? 2 : 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [method, kernel, stride, pad] = pooling;
  of.expect(pad.height < kernel.height && pad.width < kernel.width, "pad must be below kernel");
  // Sizes may round up or down, so the last window begins less than one stride after the last position that fits.
  const auto begins = [](int64_t size, int64_t outputs, int64_t kernel, int64_t stride, int64_t pad) {
    return outputs - 1 <= (size + 2 * pad + stride) / stride &&
           (outputs - 1) * stride < size + 2 * pad - kernel + stride;
  };
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
  of.expect(begins(x[2], y[2], kernel.height, stride.height, pad.height) &&
                begins(x[3], y[3], kernel.width, stride.width, pad.width),
            "a window is outside its input");
  if (of.outputs() > 1) of.shape("outputs", 1, of.output(1), y);
}

inline void check(const StochasticPooling& pooling, const Subject& of) {
  of.places(pooling.draws ? 2 : 1, pooling.draws ? 2 : 1, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
  of.expect((y[2] - 1) <= x[2] / pooling.stride.height && (y[2] - 1) * pooling.stride.height < x[2] &&
                (y[3] - 1) <= x[3] / pooling.stride.width && (y[3] - 1) * pooling.stride.width < x[3],
            "a window is outside its input");
  if (pooling.draws) of.count("inputs[1]", of.input(1), 2);
}

inline void check(const Im2col& columns, const Subject& of) {
  of.places(1, 1, 1, 1);
  const auto& [toImage, outer, channels, size, kernel, stride, pad, dilation] = columns;
  of.expect(size.size() <= kMostSpatialAxes, "there may be at most 6 spatial axes");
  for (const auto& list : {kernel, stride, pad, dilation})
    of.expect(list.size() == size.size(), "each list must have one value per spatial axis");
  std::vector<int64_t> image{outer, channels}, made{outer, channels};
  for (size_t i = 0; i < size.size(); ++i) {
    for (int64_t each : {size[i], kernel[i], stride[i], pad[i], dilation[i]})
      of.expect(each <= INT32_MAX, "sizes must be below 2^31");
    image.push_back(size[i]);
    made.push_back(kernel[i]);
    made.push_back(windows(size[i], kernel[i], stride[i], pad[i], dilation[i]));
    of.expect(made.back() > 0, "a window does not fit its image");
  }
  of.count("the image", toImage ? of.output(0) : of.input(0), product(image));
  of.count("the columns", toImage ? of.input(0) : of.output(0), product(made));
}

inline void check(const Lrn& lrn, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() == 4, "inputs[0] must be N×C×H×W");
  of.expect(lrn.size % 2 == 1, "size must be odd");
}

}  // namespace resnode::rules
