#include <algorithm>
#include <cmath>

#include "core/communicator.h"
#include "gradients.h"

namespace resnode::reference {

// scale_layer.cpp, bias_layer.cpp: dx = dy · scale, dscale = Σ dy · x, dbias = Σ dy; a second bottom is a scale or a bias
// whose diff is that of an input.
void gradientOf(const Scale& scale, const GradientArguments& arguments) {
  const bool hasOperand = scale.operand != ScaleOperand::none;
  const float* factors = scale.operand == ScaleOperand::scale ? arguments.x[1].data
                         : scale.scale                        ? arguments.parameters[*scale.scale]
                                                              : nullptr;
  const View none;
  const View& operandDiff = hasOperand ? arguments.dx[1] : none;
  float* scaleDiff = scale.operand == ScaleOperand::scale ? operandDiff.data : arguments.dw[0].data;
  float* biasDiff = scale.operand == ScaleOperand::bias ? operandDiff.data : arguments.dw[1].data;
  float* dx = arguments.dx[0].data;
  std::vector<double> scaleSums(scale.channels), biasSums(scale.channels);
  for (int64_t o = 0, i = 0; o < scale.outer; ++o) {
    for (int64_t c = 0; c < scale.channels; ++c) {
      for (int64_t k = 0; k < scale.inner; ++k, ++i) {
        const double dy = behindRelu(scale.relu, arguments.y[0], arguments.dy[0], i);
        if (dx) dx[i] = static_cast<float>(factors ? dy * factors[c] : dy);
        if (scaleDiff) scaleSums[c] += dy * arguments.x[0].data[i];
        biasSums[c] += dy;
      }
    }
  }
  if (scaleDiff) std::copy(scaleSums.begin(), scaleSums.end(), scaleDiff);
  if (biasDiff) std::copy(biasSums.begin(), biasSums.end(), biasDiff);
}

// batch_norm_layer.cpp with the Scale behind it: with x̂ the normalised value and g = dy · gamma,
// dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + eps) over batch statistics, g / √(variance + eps) over global ones.
void gradientOf(const BatchNorm& batchNorm, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const int64_t outer = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  const int64_t inner = elementCount(shape) / (outer * channels);
  Communicator* communicator = batchNorm.synchronised ? arguments.communicator : nullptr;
  const double count = static_cast<double>(outer * inner * (communicator ? communicator->size() : 1));
  const bool isGlobal = batchNorm.statistics == Statistics::global;
  const float* x = arguments.x[0].data;
  float* dx = arguments.dx[0].data;
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
          visit(i, behindRelu(batchNorm.relu, arguments.y[0], arguments.dy[0], i), normalised);
        }
      }
    };
    each([&](int64_t, double dy, double normalised) {
      sum += dy;
      product += dy * normalised;
    });
    if (arguments.dw[0].data) arguments.dw[0].data[c] = static_cast<float>(product);
    if (arguments.dw[1].data) arguments.dw[1].data[c] = static_cast<float>(sum);
    // The parameters' diffs stay this process's own: they are averaged with all others.
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

}  // namespace resnode::reference
