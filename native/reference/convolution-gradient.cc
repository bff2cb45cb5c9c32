#include <algorithm>

#include "gradients.h"

namespace resnode::reference {
namespace {

// Sums in float64, rounded once into a diff; of no size where nobody asks.
class Sums {
 public:
  Sums(const View& diff, int64_t count) : diff_(diff.data), values_(diff.data ? count : 0) {}
  explicit operator bool() const { return diff_ != nullptr; }
  double* data() { return values_.data(); }
  void write(int64_t at = 0) {
    if (diff_) std::copy(values_.begin(), values_.end(), diff_ + at);
    std::fill(values_.begin(), values_.end(), 0);
  }

 private:
  float* diff_;
  std::vector<double> values_;
};

}  // namespace

// conv_layer.cpp and base_conv_layer.cpp: every product of the forward pass, seen from its two factors. With a second
// input, a residual: its diff is the output's own.
void gradientOf(const Convolution& convolution, const GradientArguments& arguments) {
  const Shape& in = *arguments.x[0].shape;
  const Shape& out = *arguments.y[0].shape;
  const float* x = arguments.x[0].data;
  const float* weights = arguments.parameters[convolution.weights];
  const int64_t groupInputs = in[1] / convolution.group, groupOutputs = out[1] / convolution.group;
  const Pair& kernel = convolution.kernel;
  const int64_t image = in[1] * in[2] * in[3], window = kernel.height * kernel.width;
  Sums dx(arguments.dx[0], image), dw(arguments.dw[0], out[1] * groupInputs * window), db(arguments.dw[1], out[1]);

  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t k = 0; k < out[1]; ++k) {
      const int64_t firstChannel = k / groupOutputs * groupInputs;
      for (int64_t p = 0; p < out[2]; ++p) {
        for (int64_t q = 0; q < out[3]; ++q) {
          const int64_t i = ((n * out[1] + k) * out[2] + p) * out[3] + q;
          const double dy = behindRelu(convolution.relu, arguments.y[0], arguments.dy[0], i);
          if (arguments.dx.size() > 1 && arguments.dx[1].data) arguments.dx[1].data[i] = static_cast<float>(dy);
          if (db) db.data()[k] += dy;
          if (!dx && !dw) continue;
          for (int64_t c = 0; c < groupInputs; ++c) {
            const int64_t plane = (firstChannel + c) * in[2] * in[3], filter = (k * groupInputs + c) * window;
            for (int64_t r = 0; r < kernel.height; ++r) {
              const int64_t h = p * convolution.stride.height - convolution.pad.height + r * convolution.dilation.height;
              if (h < 0 || h >= in[2]) continue;
              for (int64_t s = 0; s < kernel.width; ++s) {
                const int64_t w = q * convolution.stride.width - convolution.pad.width + s * convolution.dilation.width;
                if (w < 0 || w >= in[3]) continue;
                const int64_t at = plane + h * in[3] + w, weight = filter + r * kernel.width + s;
                if (dx) dx.data()[at] += dy * weights[weight];
                if (dw) dw.data()[weight] += dy * x[n * image + at];
              }
            }
          }
        }
      }
    }
    dx.write(n * image);
  }
  dw.write();
  db.write();
}

// inner_product_layer.cpp
void gradientOf(const InnerProduct& innerProduct, const GradientArguments& arguments) {
  const Shape& in = *arguments.x[0].shape;
  int64_t rows = 1, depth = 1;
  for (size_t i = 0; i < in.size(); ++i) (static_cast<int64_t>(i) < innerProduct.axis ? rows : depth) *= in[i];
  const int64_t columns = innerProduct.numOutput;
  const float* x = arguments.x[0].data;
  const float* weights = arguments.parameters[innerProduct.weights];
  const int64_t columnStep = innerProduct.transpose ? 1 : depth, depthStep = innerProduct.transpose ? columns : 1;
  Sums dx(arguments.dx[0], depth), dw(arguments.dw[0], columns * depth), db(arguments.dw[1], columns);
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      const double dy = behindRelu(innerProduct.relu, arguments.y[0], arguments.dy[0], m * columns + n);
      if (db) db.data()[n] += dy;
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t weight = n * columnStep + k * depthStep;
        if (dx) dx.data()[k] += dy * weights[weight];
        if (dw) dw.data()[weight] += dy * x[m * depth + k];
      }
    }
    dx.write(m * depth);
  }
  dw.write();
  db.write();
}

}  // namespace resnode::reference
