// Prior boxes depend only on the net's shapes. They are computed once and copied in every run.
#include "native/operations/prior-boxes/prior-boxes.h"

#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addPriorBoxes(StepBuilder& step, const PriorBoxes& boxes) {
  step.call({step.writePlain(0)},
            [boxes, count = elementCount(step.outputShape(0))](const std::vector<void*>& at) -> Work {
              std::vector<float> values(count);
              const PriorBoxValues each(boxes);
              for (int64_t i = 0; i < count; ++i) values[i] = each.value<double>(i);
              return [values, y = static_cast<float*>(at[0])] { std::copy(values.begin(), values.end(), y); };
            });
  step.describe("computed once");
  return true;
}

const Steps<PriorBoxes> kPriorBoxes{addPriorBoxes};

}  // namespace
}  // namespace resnode::cpu
