#include "step.h"

#include "all-mean-step.h"
#include "dense-steps.h"
#include "dropout-steps.h"
#include "gradient-steps.h"
#include "spatial-steps.h"
#include "update-step.h"

namespace resnode::cuda {

Step makeStep(const Operation& operation, const StepContext& context) {
  return std::visit([&](const auto& op) {
    if constexpr (std::decay_t<decltype(op)>::kIsElementwise) return elementwiseStep(op, operation, context);
    else return stepOf(op, operation, context);
  }, operation.attributes);
}

}  // namespace resnode::cuda
