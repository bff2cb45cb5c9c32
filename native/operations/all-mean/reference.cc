#include <algorithm>

#include "native/core/communicator.h"
#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

// parallel.cpp (P2PSync::on_gradients_ready) and solver.cpp: the sum of all solvers' diffs, divided by their number.
void forward(const AllMean&, const Arguments& arguments) {
  std::vector<Communicator::Values> diffs;
  for (size_t i = 0; i < arguments.inputs.size(); ++i) {
    if (!arguments.inputs[i].data) continue;
    const int64_t count = elementCount(*arguments.inputs[i].shape);
    float* mean = arguments.outputs[i].data;
    if (mean != arguments.inputs[i].data) std::copy_n(arguments.inputs[i].data, count, mean);
    diffs.push_back({mean, static_cast<size_t>(count)});
  }
  if (arguments.communicator) arguments.communicator->mean(diffs);
}

const Loops<AllMean> kAllMean{forward};

}  // namespace
}  // namespace resnode::reference
