#include <algorithm>

#include "cuda/gradient-step.h"
#include "cuda/operations/eltwise/eltwise-gradient.h"

namespace resnode::cuda {
namespace {

EltwiseOperation operationOf(const Eltwise& eltwise) {
  return eltwise.operation == EltwiseKind::sum    ? EltwiseOperation::sum
         : eltwise.operation == EltwiseKind::prod ? EltwiseOperation::prod
                                                  : EltwiseOperation::max;
}

Step forward(const Eltwise& eltwise, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "eltwise");
  const TensorLayout& layout = context.output(operation, 0);
  // Several launches write the output before they have read all inputs, so only few inputs may share memory with it.
  step.inPlace.clear();
  for (size_t i = 0; i < operation.inputs.size() && operation.inputs.size() <= kMaxEltwiseInputs; ++i)
    step.inPlace.push_back(i);
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    EltwiseInputs inputs;
    inputs.operation = operationOf(eltwise);
    inputs.count = static_cast<int>(b.inputs.size());
    inputs.inputs = b.inputs.data();
    inputs.coefficients = eltwise.coefficients.data();
    inputs.relu = eltwise.relu.has_value();
    inputs.negativeSlope = eltwise.relu ? eltwise.relu->negativeSlope : 0;
    launchEltwise(inputs, layout.type, b.outputs[0], layout.elements(), stream);
  };
  return step;
}

Step backward(const Eltwise& eltwise, const GradientContext& gradient) {
  Step step = gradient.likeOutput("eltwise");
  // The other diffs are also computed from dy.
  if (std::count_if(gradient.operation.outputs.begin(), gradient.operation.outputs.end(),
                    [](TensorId id) { return id >= 0; }) > 1)
    step.inPlace.clear();
  const bool isQuotient = eltwise.operation == EltwiseKind::prod && !eltwise.stableProdGrad;
  step.launch = [=, layout = gradient.y(0), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    EltwiseInputs inputs;
    inputs.operation = operationOf(eltwise);
    inputs.count = static_cast<int>(at.inputs);
    inputs.inputs = b.inputs.data();
    inputs.coefficients = eltwise.coefficients.data();
    for (size_t i = 0; i < at.inputs; ++i) {
      if (!at.dx(b, i)) continue;
      launchEltwiseGradient(inputs, static_cast<int>(i), behindOf(eltwise.relu, at, b),
                            isQuotient ? at.y(b, 0) : nullptr, at.dx(b, i), paddedShape(layout), stream);
    }
  };
  return step;
}

const Steps<Eltwise> kEltwise{forward, backward};

}  // namespace
}  // namespace resnode::cuda
