#include <algorithm>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void forward(const Scale& scale, const Arguments& arguments) {
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

// scale_layer.cpp, bias_layer.cpp: dx = dy · scale, dscale = Σ dy · x, dbias = Σ dy. A second bottom is a scale or a
// bias whose diff is that of an input.
void backward(const Scale& scale, const GradientArguments& arguments) {
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

const Loops<Scale> kScale{forward, backward};

}  // namespace
}  // namespace resnode::reference
