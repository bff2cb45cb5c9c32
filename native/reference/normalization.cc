#include <algorithm>
#include <cmath>

#include "core/communicator.h"
#include "operations.h"

namespace resnode::reference {

void runScale(const Scale& scale, const Arguments& arguments) {
  const float* operand = arguments.inputs.size() > 1 ? arguments.inputs[1].data : nullptr;
  const float* factors = scale.operand == ScaleOperand::scale ? operand
                         : scale.scale                        ? arguments.parameters[*scale.scale]
                                                              : nullptr;
  const float* biases = scale.operand == ScaleOperand::bias ? operand
                        : scale.bias                        ? arguments.parameters[*scale.bias]
                                                            : nullptr;
  const float* x = arguments.inputs[0].data;
  float* y = arguments.outputs[0].data;
  for (int64_t o = 0, i = 0; o < scale.outer; ++o) {
    for (int64_t c = 0; c < scale.channels; ++c) {
      const double factor = factors ? factors[c] : 1.0, bias = biases ? biases[c] : 0.0;
      for (int64_t k = 0; k < scale.inner; ++k, ++i) {
        double value = x[i] * factor + bias;
        if (scale.relu && value < 0) value *= scale.relu->negativeSlope;
        y[i] = static_cast<float>(value);
      }
    }
  }
}

// batch_norm_layer.cpp: the biased variance normalises, the unbiased one is accumulated, and the running sums have no
// (1 − fraction): factor counts them. Global statistics are the sums divided by the factor; a factor of 0 makes them 0.
void runBatchNorm(const BatchNorm& batchNorm, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  const int64_t outer = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  Communicator* communicator = batchNorm.synchronised ? arguments.communicator : nullptr;
  const int64_t inner = elementCount(shape) / (outer * channels), count = outer * inner * (communicator ? communicator->size() : 1);
  float* means = arguments.parameters[batchNorm.mean];
  float* variances = arguments.parameters[batchNorm.variance];
  float* factor = arguments.parameters[batchNorm.factor];
  const double fraction = batchNorm.movingAverageFraction;
  const double correction = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1.0;
  const bool updates = batchNorm.update && batchNorm.statistics == Statistics::batch;
  if (updates) factor[0] = static_cast<float>(fraction * factor[0] + 1);
  const double unfactor = factor[0] == 0 ? 0.0 : 1.0 / factor[0];
  for (int64_t c = 0; c < channels; ++c) {
    double mean = means[c] * unfactor, variance = variances[c] * unfactor;
    if (batchNorm.statistics == Statistics::batch) {
      double sum = 0, squares = 0;
      for (int64_t o = 0; o < outer; ++o) {
        const float* x = arguments.inputs[0].data + (o * channels + c) * inner;
        for (int64_t k = 0; k < inner; ++k) sum += x[k];
      }
      if (communicator) communicator->sum(&sum, 1);
      mean = sum / static_cast<double>(count);
      for (int64_t o = 0; o < outer; ++o) {
        const float* x = arguments.inputs[0].data + (o * channels + c) * inner;
        for (int64_t k = 0; k < inner; ++k) squares += (x[k] - mean) * (x[k] - mean);
      }
      if (communicator) communicator->sum(&squares, 1);
      variance = squares / static_cast<double>(count);
    }
    if (updates) {
      means[c] = static_cast<float>(fraction * means[c] + mean);
      variances[c] = static_cast<float>(fraction * variances[c] + variance * correction);
    }
    if (arguments.outputs.size() > 1) {
      arguments.outputs[1].data[c] = static_cast<float>(mean);
      arguments.outputs[2].data[c] = static_cast<float>(variance);
    }
    const double gamma = batchNorm.scale ? arguments.parameters[*batchNorm.scale][c] : 1.0;
    const double beta = batchNorm.bias ? arguments.parameters[*batchNorm.bias][c] : 0.0;
    const double slope = gamma / std::sqrt(variance + batchNorm.eps);
    for (int64_t o = 0; o < outer; ++o) {
      const float* x = arguments.inputs[0].data + (o * channels + c) * inner;
      float* y = arguments.outputs[0].data + (o * channels + c) * inner;
      for (int64_t k = 0; k < inner; ++k) {
        double value = (x[k] - mean) * slope + beta;
        if (batchNorm.relu && value < 0) value *= batchNorm.relu->negativeSlope;
        y[k] = static_cast<float>(value);
      }
    }
  }
}

// lrn_layer.cpp. WITHIN_CHANNEL is a net of square, average pool and power there: the window's divisor is the
// pooling layer's (clipped to the padded plane), and k is 1.
void runLrn(const Lrn& lrn, const Arguments& arguments) {
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

}  // namespace resnode::reference
