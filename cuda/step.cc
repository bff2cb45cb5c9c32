#include "step.h"

#include "all-mean-step.h"
#include "dense-steps.h"
#include "dropout-steps.h"
#include "gradient-steps.h"
#include "spatial-steps.h"
#include "update-step.h"

namespace resnode::cuda {

Step makeStep(const Operation& operation, const StepContext& context) {
  return std::visit([&](const auto& op) { return stepOf(op, operation, context); }, operation.attributes);
}

}  // namespace resnode::cuda
