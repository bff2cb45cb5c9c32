#include <algorithm>
#include <vector>

#include "native/reference/activation.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// The pixels in a row of the output that read a tap of the kernel: pixels `first` to `end` are inside the plane, and
// pixel q reads column q · stride + offset.
struct Seen {
  int64_t first, end, offset;
};
Seen seenBy(int64_t tap, int64_t stride, int64_t pad, int64_t dilation, int64_t width, int64_t pixels) {
  const int64_t offset = tap * dilation - pad;
  const int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
  const int64_t end = offset < width ? (width - offset + stride - 1) / stride : 0;
  return {first, std::min(end, pixels), offset};
}

// base_conv_layer.cpp: cross-correlation; [out = (in + 2·pad − dilation·(kernel − 1) − 1) / stride + 1], rounded down.
// Computes a row of the output at a time: each value is the sum of its products by channel, then by row and column of
// the kernel.
void forward(const Convolution& convolution, const Arguments& arguments) {
  const Shape& in = *arguments.inputs[0].shape;    // [N, C, H, W]
  const Shape& out = *arguments.outputs[0].shape;  // [N, K, P, Q]
  const float* x = arguments.inputs[0].data;
  const float* residual = arguments.inputs.size() > 1 ? arguments.inputs[1].data : nullptr;
  const float* weights = arguments.parameters[convolution.weights];  // [K, C/group, R, S]
  const float* bias = convolution.bias ? arguments.parameters[*convolution.bias] : nullptr;
  float* y = arguments.outputs[0].data;
  const int64_t groupInputs = in[1] / convolution.group, groupOutputs = out[1] / convolution.group;
  const Pair &kernel = convolution.kernel, &stride = convolution.stride, &pad = convolution.pad,
             &dilation = convolution.dilation;
  std::vector<double> sums(out[3]);

  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t k = 0; k < out[1]; ++k) {
      const int64_t firstChannel = k / groupOutputs * groupInputs;
      for (int64_t p = 0; p < out[2]; ++p) {
        std::fill(sums.begin(), sums.end(), bias ? bias[k] : 0.0);
        for (int64_t c = 0; c < groupInputs; ++c) {
          const int64_t plane = ((n * in[1] + firstChannel + c) * in[2]) * in[3];
          const float* filter = weights + (k * groupInputs + c) * kernel.height * kernel.width;
          for (int64_t r = 0; r < kernel.height; ++r) {
            const int64_t h = p * stride.height - pad.height + r * dilation.height;
            if (h < 0 || h >= in[2]) continue;
            for (int64_t s = 0; s < kernel.width; ++s) {
              const Seen seen = seenBy(s, stride.width, pad.width, dilation.width, in[3], out[3]);
              const int64_t row = plane + h * in[3] + seen.offset;
              const double weight = filter[r * kernel.width + s];
              for (int64_t q = seen.first; q < seen.end; ++q) sums[q] += x[row + q * stride.width] * weight;
            }
          }
        }
        for (int64_t q = 0; q < out[3]; ++q) {
          const int64_t i = ((n * out[1] + k) * out[2] + p) * out[3] + q;
          double sum = sums[q];
          if (residual) sum += residual[i];
          y[i] = static_cast<float>(activated(convolution, arguments, sum, k));
        }
      }
    }
  }
}

// conv_layer.cpp and base_conv_layer.cpp: every product of the forward pass contributes to the diffs of both factors.
// The diff of a residual (second input) is the output's own.
void backward(const Convolution& convolution, const GradientArguments& arguments) {
  const Shape& in = *arguments.x[0].shape;
  const Shape& out = *arguments.y[0].shape;
  const float* x = arguments.x[0].data;
  const float* weights = arguments.parameters[convolution.weights];
  const int64_t groupInputs = in[1] / convolution.group, groupOutputs = out[1] / convolution.group;
  const Pair &kernel = convolution.kernel, &stride = convolution.stride, &pad = convolution.pad,
             &dilation = convolution.dilation;
  const int64_t image = in[1] * in[2] * in[3], window = kernel.height * kernel.width;
  // The diff may hold only the positions that 1×1 windows read, which are those of the output.
  const Shape& made = *arguments.dx[0].shape;
  const bool isSampled = made != in;
  const int64_t madeImage = made[1] * made[2] * made[3];
  Sums dx(arguments.dx[0], madeImage), dw(arguments.dw[0], out[1] * groupInputs * window), db(arguments.dw[1], out[1]);
  std::vector<double> dy(out[3]);

  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t k = 0; k < out[1]; ++k) {
      const int64_t firstChannel = k / groupOutputs * groupInputs;
      for (int64_t p = 0; p < out[2]; ++p) {
        for (int64_t q = 0; q < out[3]; ++q) {
          const int64_t i = ((n * out[1] + k) * out[2] + p) * out[3] + q;
          dy[q] = behindRelu(convolution.relu, arguments.y[0], arguments.dy[0], i);
          if (arguments.dx.size() > 1 && arguments.dx[1].data) arguments.dx[1].data[i] = static_cast<float>(dy[q]);
          if (db) db.data()[k] += dy[q];
        }
        if (!dx && !dw) continue;
        for (int64_t c = 0; c < groupInputs; ++c) {
          const int64_t plane = (firstChannel + c) * in[2] * in[3], filter = (k * groupInputs + c) * window;
          for (int64_t r = 0; r < kernel.height; ++r) {
            const int64_t h = p * stride.height - pad.height + r * dilation.height;
            if (h < 0 || h >= in[2]) continue;
            // Starts with the last column: a value's diff is the sum over the pixels that read it, beginning with the
            // first.
            for (int64_t s = kernel.width - 1; s >= 0; --s) {
              const Seen seen = seenBy(s, stride.width, pad.width, dilation.width, in[3], out[3]);
              const int64_t row = plane + h * in[3] + seen.offset, weight = filter + r * kernel.width + s;
              if (dx) {
                double* diffs = dx.data();
                const int64_t diff = isSampled ? ((firstChannel + c) * made[2] + p) * made[3] : row;
                const int64_t step = isSampled ? 1 : stride.width;
                const double factor = weights[weight];
                for (int64_t q = seen.first; q < seen.end; ++q) diffs[diff + q * step] += dy[q] * factor;
              }
              if (dw) {
                const int64_t read = n * image + row;
                double sum = dw.data()[weight];
                for (int64_t q = seen.first; q < seen.end; ++q) sum += dy[q] * x[read + q * stride.width];
                dw.data()[weight] = sum;
              }
            }
          }
        }
      }
    }
    dx.write(n * madeImage);
  }
  dw.write();
  db.write();
}

const Loops<Convolution> kConvolution{forward, backward};

}  // namespace
}  // namespace resnode::reference
