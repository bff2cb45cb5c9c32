#include <cmath>

#include "native/core/communicator.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

// batch_norm_layer.cpp: the biased variance normalises, and the unbiased one is accumulated. The moving sums lack a
// factor (1 − fraction); `factor` accumulates the weights instead. Global statistics are the sums divided by it, and a
// factor of 0 makes them 0.
void forward(const BatchNorm& batchNorm, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  const int64_t outer = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  const float* residual = arguments.inputs.size() > 1 ? arguments.inputs[1].data : nullptr;
  Communicator* communicator = batchNorm.synchronised ? arguments.communicator : nullptr;
  const int64_t inner = elementCount(shape) / (outer * channels),
                count = outer * inner * (communicator ? communicator->size() : 1);
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
        if (residual) value += residual[(o * channels + c) * inner + k];
        if (batchNorm.relu && value < 0) value *= batchNorm.relu->negativeSlope;
        y[k] = static_cast<float>(value);
        if (arguments.outputs.size() > 3) arguments.outputs[3].data[(o * channels + c) * inner + k] = y[k] > 0 ? 1 : 0;
      }
    }
  }
}

// batch_norm_layer.cpp with the Scale that follows: with x̂ the normalised value and g = dy · gamma, dx = (g − mean(g)
// − x̂ · mean(g · x̂)) / √(variance + eps) over batch statistics, g / √(variance + eps) over global ones.
void backward(const BatchNorm& batchNorm, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const int64_t outer = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  const int64_t inner = elementCount(shape) / (outer * channels);
  Communicator* communicator = batchNorm.synchronised ? arguments.communicator : nullptr;
  const double count = static_cast<double>(outer * inner * (communicator ? communicator->size() : 1));
  const bool isGlobal = batchNorm.statistics == Statistics::global;
  const float* x = arguments.x[0].data;
  float* dx = arguments.dx[0].data;
  // With a residual, the ReLU's derivative is already applied to the diff.
  std::optional<FusedRelu> relu;
  if (arguments.x.size() == 1) relu = batchNorm.relu;
  const float factor = arguments.parameters[batchNorm.factor][0];
  const double unfactor = factor == 0 ? 0.0 : 1.0 / factor;
  const bool needsNormalised = (dx && !isGlobal) || arguments.dw[0].data;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = isGlobal ? arguments.parameters[batchNorm.mean][c] * unfactor : arguments.y[1].data[c];
    const double variance = isGlobal ? arguments.parameters[batchNorm.variance][c] * unfactor : arguments.y[2].data[c];
    const double inverse = 1 / std::sqrt(variance + batchNorm.eps);
    const double gamma = batchNorm.scale ? arguments.parameters[*batchNorm.scale][c] : 1.0;
    double sum = 0, product = 0;
    const auto each = [&](auto visit) {
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t k = 0; k < inner; ++k) {
          const int64_t i = (o * channels + c) * inner + k;
          const double normalised = needsNormalised ? (x[i] - mean) * inverse : 0;
          visit(i, behindRelu(relu, arguments.y[0], arguments.dy[0], i), normalised);
        }
      }
    };
    if (arguments.sums.empty()) {
      each([&](int64_t, double dy, double normalised) {
        sum += dy;
        product += dy * normalised;
      });
    } else {
      sum = arguments.sums[0].data[c];
      product = arguments.sums[1].data[c];
    }
    if (arguments.dw[0].data) arguments.dw[0].data[c] = static_cast<float>(product);
    if (arguments.dw[1].data) arguments.dw[1].data[c] = static_cast<float>(sum);
    // The parameters' diffs stay those of this process; AllMean averages them later.
    if (communicator && !isGlobal) {
      double sums[] = {sum, product};
      communicator->sum(sums, 2);
      sum = sums[0];
      product = sums[1];
    }
    if (!dx) continue;
    each([&](int64_t i, double dy, double normalised) {
      const double centred = isGlobal ? dy : dy - sum / count - normalised * product / count;
      dx[i] = static_cast<float>(centred * gamma * inverse);
    });
  }
}

const Loops<BatchNorm> kBatchNorm{forward, backward};

}  // namespace
}  // namespace resnode::reference
