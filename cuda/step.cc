#include "cuda/step.h"

#include "cuda/steps.h"

namespace resnode::cuda {

Step likeOutput(const Operation& operation, const StepContext& context, const char* implementation) {
  Step step = plainStep(operation, implementation);
  if (context.output(operation, 0).isNhwc) step.nhwcInputs.assign(operation.inputs.size(), true);
  step.inPlace = {0};
  return step;
}

Step plainStep(const Operation& operation, const char* implementation) {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), false);
  step.implementation = implementation;
  return step;
}

Step makeStep(const Operation& operation, const StepContext& context) {
  return std::visit(
      [&](const auto& op) {
        if constexpr (std::decay_t<decltype(op)>::kIsElementwise) return elementwiseStep(op, operation, context);
        else if constexpr (std::decay_t<decltype(op)>::kIsPortable) return portableStep(op, operation, context);
        else return stepOf(op, operation, context);
      },
      operation.attributes);
}

}  // namespace resnode::cuda
