#include <algorithm>

#include "core/communicator.h"
#include "operations.h"

namespace resnode::reference {

// parallel.cpp (P2PSync::on_gradients_ready) and solver.cpp: the sum of all solvers' diffs, over their number.
void runAllMean(const Program& program, const Arguments& arguments) {
  for (size_t i = 0; i < arguments.inputs.size(); ++i) {
    if (!arguments.inputs[i].data) continue;
    const int64_t count = elementCount(*arguments.inputs[i].shape);
    float* mean = arguments.outputs[i].data;
    if (mean != arguments.inputs[i].data) std::copy_n(arguments.inputs[i].data, count, mean);
    if (!program.communicator) continue;
    program.communicator->sum(mean, count);
    const float share = 1.f / static_cast<float>(program.communicator->size());
    for (int64_t k = 0; k < count; ++k) mean[k] *= share;
  }
}

}  // namespace resnode::reference
