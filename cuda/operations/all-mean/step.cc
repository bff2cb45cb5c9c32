#include "cuda/step.h"

#include "cuda/nccl/communicator.h"

namespace resnode::cuda {
namespace {

Step forward(const AllMean&, const Operation& operation, const StepContext& context) {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), false);
  step.eachOverItsInput = true;
  step.implementation = context.processes ? "NCCL" : "copy";
  std::vector<size_t> counts;
  counts.reserve(operation.inputs.size());
  for (TensorId id : operation.inputs)
    counts.push_back(id < 0 ? 0 : static_cast<size_t>(elementCount(context.layouts[id].shape)));
  step.launch = [counts, processes = context.processes](const Bindings& b, cudaStream_t stream) {
    std::vector<NcclCommunicator::Values> arrays;
    for (size_t i = 0; i < counts.size(); ++i) {
      if (!b.inputs[i]) continue;
      if (processes) arrays.push_back({b.floats(i), b.floatsOut(i), counts[i]});
      else if (b.inputs[i] != b.outputs[i])
        RESNODE_CUDA(
            cudaMemcpyAsync(b.outputs[i], b.inputs[i], counts[i] * sizeof(float), cudaMemcpyDeviceToDevice, stream));
    }
    if (processes) processes->mean(arrays, stream);
  };
  return step;
}

const Steps<AllMean> kAllMean{forward};

}  // namespace
}  // namespace resnode::cuda
