#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// base_conv_layer.cpp: cross-correlation; [out = (in + 2·pad − dilation·(kernel − 1) − 1) / stride + 1], rounded down.
void forward(const Convolution& convolution, const Arguments& arguments) {
  const Shape& in = *arguments.inputs[0].shape;    // [N, C, H, W]
  const Shape& out = *arguments.outputs[0].shape;  // [N, K, P, Q]
  const float* x = arguments.inputs[0].data;
  const float* residual = arguments.inputs.size() > 1 ? arguments.inputs[1].data : nullptr;
  const float* weights = arguments.parameters[convolution.weights];  // [K, C/group, R, S]
  const float* bias = convolution.bias ? arguments.parameters[*convolution.bias] : nullptr;
  float* y = arguments.outputs[0].data;
  const int64_t groupInputs = in[1] / convolution.group, groupOutputs = out[1] / convolution.group;
  const Pair& kernel = convolution.kernel;

  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t k = 0; k < out[1]; ++k) {
      const int64_t firstChannel = k / groupOutputs * groupInputs;
      for (int64_t p = 0; p < out[2]; ++p) {
        for (int64_t q = 0; q < out[3]; ++q) {
          double sum = bias ? bias[k] : 0.0;
          for (int64_t c = 0; c < groupInputs; ++c) {
            const float* plane = x + ((n * in[1] + firstChannel + c) * in[2]) * in[3];
            const float* filter = weights + (k * groupInputs + c) * kernel.height * kernel.width;
            for (int64_t r = 0; r < kernel.height; ++r) {
              const int64_t h =
                  p * convolution.stride.height - convolution.pad.height + r * convolution.dilation.height;
              if (h < 0 || h >= in[2]) continue;
              for (int64_t s = 0; s < kernel.width; ++s) {
                const int64_t w = q * convolution.stride.width - convolution.pad.width + s * convolution.dilation.width;
                if (w < 0 || w >= in[3]) continue;
                sum += static_cast<double>(plane[h * in[3] + w]) * filter[r * kernel.width + s];
              }
            }
          }
          const int64_t i = ((n * out[1] + k) * out[2] + p) * out[3] + q;
          if (residual) sum += residual[i];
          if (convolution.relu && sum < 0) sum *= convolution.relu->negativeSlope;
          y[i] = static_cast<float>(sum);
        }
      }
    }
  }
}

// conv_layer.cpp and base_conv_layer.cpp: every product of the forward pass, seen from its two factors. With a second
// input, a residual: its diff is the output's own.
void backward(const Convolution& convolution, const GradientArguments& arguments) {
  const Shape& in = *arguments.x[0].shape;
  const Shape& out = *arguments.y[0].shape;
  const float* x = arguments.x[0].data;
  const float* weights = arguments.parameters[convolution.weights];
  const int64_t groupInputs = in[1] / convolution.group, groupOutputs = out[1] / convolution.group;
  const Pair& kernel = convolution.kernel;
  const int64_t image = in[1] * in[2] * in[3], window = kernel.height * kernel.width;
  // The diff may have the places alone that windows of 1×1 see: those of the output.
  const Shape& made = *arguments.dx[0].shape;
  const bool isSampled = made != in;
  const int64_t madeImage = made[1] * made[2] * made[3];
  Sums dx(arguments.dx[0], madeImage), dw(arguments.dw[0], out[1] * groupInputs * window), db(arguments.dw[1], out[1]);

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
              const int64_t h =
                  p * convolution.stride.height - convolution.pad.height + r * convolution.dilation.height;
              if (h < 0 || h >= in[2]) continue;
              for (int64_t s = 0; s < kernel.width; ++s) {
                const int64_t w = q * convolution.stride.width - convolution.pad.width + s * convolution.dilation.width;
                if (w < 0 || w >= in[3]) continue;
                const int64_t at = plane + h * in[3] + w, weight = filter + r * kernel.width + s;
                const int64_t diff = isSampled ? ((firstChannel + c) * made[2] + p) * made[3] + q : at;
                if (dx) dx.data()[diff] += dy * weights[weight];
                if (dw) dw.data()[weight] += dy * x[n * image + at];
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
