#include "cuda/step.h"

#include "native/core/error.h"

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

KindTable<KindSteps>& kindSteps() {
  static KindTable<KindSteps> table;
  return table;
}

Step makeStep(const Operation& operation, const StepContext& context) {
  const KindSteps& steps = kindSteps().of(operation.attributes);
  if (!steps.forward) {
    const char* kind = operation.attributes.visit([](const auto& of) { return std::decay_t<decltype(of)>::kKind; });
    throw Error(
        "device/unsupported",
        "layer \"" + operation.layer + "\": the CUDA device does not compute " + kind + " yet; the cpu device does",
        operation.layer);
  }
  return steps.forward(operation.attributes, operation, context);
}

}  // namespace resnode::cuda
