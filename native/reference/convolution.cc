#include "operations.h"

namespace resnode::reference {

// base_conv_layer.cpp: cross-correlation; [out = (in + 2·pad − dilation·(kernel − 1) − 1) / stride + 1], rounded down.
void runConvolution(const Convolution& convolution, const Arguments& arguments) {
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
              const int64_t h = p * convolution.stride.height - convolution.pad.height + r * convolution.dilation.height;
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

void runInnerProduct(const InnerProduct& innerProduct, const Arguments& arguments) {
  const Shape& in = *arguments.inputs[0].shape;
  int64_t rows = 1, depth = 1;
  for (size_t i = 0; i < in.size(); ++i) (static_cast<int64_t>(i) < innerProduct.axis ? rows : depth) *= in[i];
  const int64_t columns = innerProduct.numOutput;
  const float* x = arguments.inputs[0].data;
  const float* weights = arguments.parameters[innerProduct.weights];
  const float* bias = innerProduct.bias ? arguments.parameters[*innerProduct.bias] : nullptr;
  const int64_t columnStep = innerProduct.transpose ? 1 : depth, depthStep = innerProduct.transpose ? columns : 1;
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      double sum = bias ? bias[n] : 0.0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(x[m * depth + k]) * weights[n * columnStep + k * depthStep];
      }
      if (innerProduct.relu && sum < 0) sum *= innerProduct.relu->negativeSlope;
      arguments.outputs[0].data[m * columns + n] = static_cast<float>(sum);
    }
  }
}

}  // namespace resnode::reference
