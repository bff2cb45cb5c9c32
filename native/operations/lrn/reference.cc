#include <algorithm>
#include <cmath>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// lrn_layer.cpp. There, WITHIN_CHANNEL is a net of square, average pool and power, so the divisor of a window is the
// pooling layer's (clipped to the padded plane), and k is 1.
void forward(const Lrn& lrn, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;  // [N, C, H, W]
  const float* x = arguments.inputs[0].data;
  float* y = arguments.outputs[0].data;
  const int64_t channels = shape[1], height = shape[2], width = shape[3], plane = height * width;
  const int64_t before = (lrn.size - 1) / 2;
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t h = 0; h < height; ++h) {
        for (int64_t w = 0; w < width; ++w) {
          const int64_t i = (n * channels + c) * plane + h * width + w;
          double sum = 0, scale;
          if (lrn.region == LrnRegion::across) {
            const int64_t first = std::max<int64_t>(c - before, 0), end = std::min(c - before + lrn.size, channels);
            for (int64_t d = first; d < end; ++d) {
              const double value = x[(n * channels + d) * plane + h * width + w];
              sum += value * value;
            }
            scale = lrn.k + lrn.alpha / static_cast<double>(lrn.size) * sum;
          } else {
            const int64_t top = h - before, left = w - before;
            const int64_t bottom = std::min(top + lrn.size, height + before);
            const int64_t right = std::min(left + lrn.size, width + before);
            for (int64_t r = std::max<int64_t>(top, 0); r < std::min(bottom, height); ++r) {
              for (int64_t s = std::max<int64_t>(left, 0); s < std::min(right, width); ++s) {
                const double value = x[(n * channels + c) * plane + r * width + s];
                sum += value * value;
              }
            }
            scale = 1 + lrn.alpha * sum / static_cast<double>((bottom - top) * (right - left));
          }
          y[i] = static_cast<float>(x[i] * std::pow(scale, -static_cast<double>(lrn.beta)));
        }
      }
    }
  }
}

// Visits the values that are squared and summed for one value, and returns the divisor of alpha.
template <class Visit>
int64_t visitWindow(const Lrn& lrn, const Shape& shape, int64_t n, int64_t c, int64_t h, int64_t w, Visit visit) {
  const int64_t channels = shape[1], height = shape[2], width = shape[3], before = (lrn.size - 1) / 2;
  const auto at = [&](int64_t channel, int64_t row, int64_t column) {
    return ((n * channels + channel) * height + row) * width + column;
  };
  if (lrn.region == LrnRegion::across) {
    const int64_t first = std::max<int64_t>(c - before, 0), end = std::min(c - before + lrn.size, channels);
    for (int64_t d = first; d < end; ++d) visit(at(d, h, w));
    return lrn.size;
  }
  const int64_t top = h - before, left = w - before;
  const int64_t bottom = std::min(top + lrn.size, height + before), right = std::min(left + lrn.size, width + before);
  for (int64_t r = std::max<int64_t>(top, 0); r < std::min(bottom, height); ++r) {
    for (int64_t s = std::max<int64_t>(left, 0); s < std::min(right, width); ++s) visit(at(c, r, s));
  }
  return (bottom - top) * (right - left);
}

// lrn_layer.cpp: y = x · s^−beta with s = k + alpha/n · Σ x². Each x contributes to its own y and, through s, to those
// of every window that contains it.
void backward(const Lrn& lrn, const GradientArguments& arguments) {
  if (!arguments.dx[0].data || !arguments.dy[0].data) return;
  const Shape& shape = *arguments.x[0].shape;
  const float* x = arguments.x[0].data;
  const double k = lrn.region == LrnRegion::across ? lrn.k : 1;
  std::vector<double> dx(elementCount(shape));
  int64_t i = 0;
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      for (int64_t h = 0; h < shape[2]; ++h) {
        for (int64_t w = 0; w < shape[3]; ++w, ++i) {
          double sum = 0;
          const int64_t divisor =
              visitWindow(lrn, shape, n, c, h, w, [&](int64_t j) { sum += static_cast<double>(x[j]) * x[j]; });
          const double share = lrn.alpha / static_cast<double>(divisor), scale = k + share * sum;
          const double dy = arguments.dy[0].data[i], power = std::pow(scale, -static_cast<double>(lrn.beta));
          dx[i] += dy * power;
          const double through = -2 * lrn.beta * share * dy * x[i] * power / scale;
          visitWindow(lrn, shape, n, c, h, w, [&](int64_t j) { dx[j] += through * x[j]; });
        }
      }
    }
  }
  std::copy(dx.begin(), dx.end(), arguments.dx[0].data);
}

const Loops<Lrn> kLrn{forward, backward};

}  // namespace
}  // namespace resnode::reference
