#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void forward(const Eltwise& eltwise, const Arguments& arguments) {
  float* y = arguments.outputs[0].data;
  for (int64_t i = 0; i < elementCount(*arguments.outputs[0].shape); ++i) {
    double result = arguments.inputs[0].data[i];
    if (eltwise.operation == EltwiseKind::sum) result *= eltwise.coefficients[0];
    for (size_t k = 1; k < arguments.inputs.size(); ++k) {
      const double value = arguments.inputs[k].data[i];
      if (eltwise.operation == EltwiseKind::sum) result += eltwise.coefficients[k] * value;
      if (eltwise.operation == EltwiseKind::prod) result *= value;
      // eltwise_layer.cpp compares the first two inputs in one direction and later ones in the other. NaN is never
      // greater.
      if (eltwise.operation == EltwiseKind::max && (k == 1 ? !(result > value) : value > result)) result = value;
    }
    if (eltwise.relu && result < 0) result *= eltwise.relu->negativeSlope;
    y[i] = static_cast<float>(result);
  }
}

// eltwise_layer.cpp. The diff of a product is the product of the other inputs or, without stable_prod_grad, the result
// divided by the input, which is NaN if that is 0. Of equal maxima, the second of the first two inputs gets the diff; a
// later input gets it only if it is greater.
void backward(const Eltwise& eltwise, const GradientArguments& arguments) {
  const size_t inputs = arguments.x.size();
  const auto winner = [&](int64_t i) {
    size_t best = arguments.x[0].data[i] > arguments.x[1].data[i] ? 0 : 1;
    for (size_t k = 2; k < inputs; ++k) {
      if (arguments.x[k].data[i] > arguments.x[best].data[i]) best = k;
    }
    return best;
  };
  const bool isProduct = eltwise.operation == EltwiseKind::prod && eltwise.stableProdGrad;
  const bool isQuotient = eltwise.operation == EltwiseKind::prod && !eltwise.stableProdGrad;
  for (int64_t i = 0; i < elementCount(*arguments.y[0].shape); ++i) {
    const double dy = behindRelu(eltwise.relu, arguments.y[0], arguments.dy[0], i);
    const size_t best = eltwise.operation == EltwiseKind::max ? winner(i) : 0;
    for (size_t k = 0; k < inputs; ++k) {
      if (!arguments.dx[k].data) continue;
      double diff = dy;
      if (eltwise.operation == EltwiseKind::sum) diff *= eltwise.coefficients[k];
      if (eltwise.operation == EltwiseKind::max && k != best) diff = 0;
      if (isQuotient) diff *= static_cast<double>(arguments.y[0].data[i]) / arguments.x[k].data[i];
      for (size_t j = 0; isProduct && j < inputs; ++j) {
        if (j != k) diff *= arguments.x[j].data[i];
      }
      arguments.dx[k].data[i] = static_cast<float>(diff);
    }
  }
}

const Loops<Eltwise> kEltwise{forward, backward};

}  // namespace
}  // namespace resnode::reference
