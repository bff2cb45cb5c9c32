// Averages diffs over processes in row-major layout, because other processes may run on processors with other layouts.
#include <cstring>

#include "native/core/communicator.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addAllMean(StepBuilder& step) {
  const Operation& operation = step.operation();
  Communicator* communicator = step.program().communicator.get();
  std::vector<Place> places;
  std::vector<int64_t> counts;
  for (size_t i = 0; i < operation.inputs.size(); ++i) {
    if (!step.hasInput(i)) continue;
    const Layout plain = step.plain(i);
    const Place diff = step.readPlain(i);
    places.push_back(diff);
    places.push_back(step.writeOver(i, diff, plain, plain));
    counts.push_back(elementCount(step.program().tensors[operation.inputs[i]].shape));
  }
  step.call(std::move(places), [communicator, counts](const std::vector<void*>& addresses) -> Work {
    return [=] {
      std::vector<Communicator::Values> diffs;
      for (size_t i = 0; i < counts.size(); ++i) {
        float* diff = static_cast<float*>(addresses[2 * i + 1]);
        if (diff != addresses[2 * i]) std::memcpy(diff, addresses[2 * i], counts[i] * sizeof(float));
        diffs.push_back({diff, static_cast<size_t>(counts[i])});
      }
      if (communicator) communicator->mean(diffs);
    };
  });
  step.describe("loops");
  return true;
}

const Steps<AllMean> kAllMean{[](StepBuilder& step, const AllMean&) { return addAllMean(step); }};

}  // namespace
}  // namespace resnode::cpu
