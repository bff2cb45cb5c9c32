// Works in the layout of the ReLU's result, and overwrites one of the diffs if allowed.
#include <algorithm>

#include "native/cpu/elementwise-loops.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addSumBehindRelu(StepBuilder& step, const SumBehindRelu& op) {
  const size_t count = step.operation().inputs.size();
  if (!op.eps.empty()) return false;
  for (size_t i = 0; i < count; ++i) {
    if (step.inputShape(i) != step.outputShape(0)) return false;
  }
  const Layout layout = step.layout(0), plain = step.plain(0);
  std::vector<Place> places;
  for (size_t i = 0; i < count; ++i) places.push_back(step.read(i, layout, plain));
  const auto dying = std::find_if(places.begin() + 1, places.end(), [&](const Place& diff) { return step.dies(diff); });
  places.push_back(dying == places.end() ? step.write(0, layout, plain) : step.share(0, *dying, layout, plain));
  step.call(std::move(places),
            [count, pool = step.pool(), size = floatsIn(layout),
             slope = op.negativeSlope](const std::vector<void*>& at) -> Work {
              std::vector<const float*> diffs;
              for (size_t i = 1; i < count; ++i) diffs.push_back(static_cast<const float*>(at[i]));
              return [=, y = static_cast<const float*>(at[0]), sum = static_cast<float*>(at[count])] {
                sumBehindRelu(pool, y, diffs, sum, size, slope);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<SumBehindRelu> kSumBehindRelu{addSumBehindRelu};

}  // namespace
}  // namespace resnode::cpu
