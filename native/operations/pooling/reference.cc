#include <algorithm>
#include <cfloat>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// pooling_layer.cpp: max takes the first maximum in row-major order. Average divides by the size of the window clipped
// to [−pad, size + pad), so padding counts, but what exceeds it because sizes are rounded up does not.
void forward(const Pooling& pooling, const Arguments& arguments) {
  const Shape& in = *arguments.inputs[0].shape;
  const Shape& out = *arguments.outputs[0].shape;
  float* mask = arguments.outputs.size() > 1 ? arguments.outputs[1].data : nullptr;
  const int64_t height = in[2], width = in[3];
  for (int64_t plane = 0; plane < in[0] * in[1]; ++plane) {
    const float* x = arguments.inputs[0].data + plane * height * width;
    for (int64_t p = 0; p < out[2]; ++p) {
      for (int64_t q = 0; q < out[3]; ++q) {
        const int64_t top = p * pooling.stride.height - pooling.pad.height;
        const int64_t left = q * pooling.stride.width - pooling.pad.width;
        const int64_t paddedBottom = std::min(top + pooling.kernel.height, height + pooling.pad.height);
        const int64_t paddedRight = std::min(left + pooling.kernel.width, width + pooling.pad.width);
        const int64_t area = (paddedBottom - top) * (paddedRight - left);
        const int64_t firstRow = std::max<int64_t>(top, 0), endRow = std::min(paddedBottom, height);
        const int64_t firstColumn = std::max<int64_t>(left, 0), endColumn = std::min(paddedRight, width);
        float maximum = -FLT_MAX;
        int64_t position = -1;
        double sum = 0;
        for (int64_t h = firstRow; h < endRow; ++h) {
          for (int64_t w = firstColumn; w < endColumn; ++w) {
            const float value = x[h * width + w];
            sum += value;
            if (value > maximum) {
              maximum = value;
              position = h * width + w;
            }
          }
        }
        const int64_t i = (plane * out[2] + p) * out[3] + q;
        arguments.outputs[0].data[i] =
            pooling.method == PoolingMethod::max ? maximum : static_cast<float>(sum / static_cast<double>(area));
        if (mask) mask[i] = static_cast<float>(position);
      }
    }
  }
}

// pooling_layer.cpp: the first maximum in row-major order gets the whole diff. An average spreads it over the part of
// its window inside the plane, divided as in the forward pass. A mask (second output) has no gradient; it gives the
// positions of the maxima.
void backward(const Pooling& pooling, const GradientArguments& arguments) {
  if (!arguments.dx[0].data) return;
  const Shape& in = *arguments.x[0].shape;
  const Shape& out = *arguments.y[0].shape;
  const int64_t height = in[2], width = in[3];
  const bool hasMask = arguments.y.size() > 1;
  for (int64_t plane = 0; plane < in[0] * in[1]; ++plane) {
    std::vector<double> dx(height * width);
    const float* x = arguments.x[0].data ? arguments.x[0].data + plane * height * width : nullptr;
    for (int64_t p = 0; p < out[2]; ++p) {
      for (int64_t q = 0; q < out[3]; ++q) {
        const int64_t top = p * pooling.stride.height - pooling.pad.height;
        const int64_t left = q * pooling.stride.width - pooling.pad.width;
        const int64_t paddedBottom = std::min(top + pooling.kernel.height, height + pooling.pad.height);
        const int64_t paddedRight = std::min(left + pooling.kernel.width, width + pooling.pad.width);
        const int64_t firstRow = std::max<int64_t>(top, 0), endRow = std::min(paddedBottom, height);
        const int64_t firstColumn = std::max<int64_t>(left, 0), endColumn = std::min(paddedRight, width);
        const int64_t i = (plane * out[2] + p) * out[3] + q;
        const double dy = arguments.dy[0].data ? arguments.dy[0].data[i] : 0;
        const double share = dy / static_cast<double>((paddedBottom - top) * (paddedRight - left));
        float maximum = -FLT_MAX;
        const float known = hasMask ? arguments.y[1].data[i] : -1;
        int64_t position = known >= 0 && known < static_cast<float>(height * width) ? static_cast<int64_t>(known) : -1;
        for (int64_t h = firstRow; h < endRow && !hasMask; ++h) {
          for (int64_t w = firstColumn; w < endColumn; ++w) {
            if (pooling.method == PoolingMethod::average) dx[h * width + w] += share;
            else if (x[h * width + w] > maximum) {
              maximum = x[h * width + w];
              position = h * width + w;
            }
          }
        }
        if (position >= 0) dx[position] += dy;
      }
    }
    std::copy(dx.begin(), dx.end(), arguments.dx[0].data + plane * height * width);
  }
}

const Loops<Pooling> kPooling{forward, backward};

}  // namespace
}  // namespace resnode::reference
