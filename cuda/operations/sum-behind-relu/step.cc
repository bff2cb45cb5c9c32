#include "cuda/gradient-step.h"
#include "cuda/kernels/behind-relu.h"

namespace resnode::cuda {
namespace {

Step forward(const SumBehindRelu& sum, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "sum");
  step.inPlace.clear();
  for (size_t i = 1; i < operation.inputs.size(); ++i) step.inPlace.push_back(i);
  step.launch = [sum, shape = paddedShape(context.output(operation, 0))](const Bindings& b, cudaStream_t stream) {
    const std::vector<const void*> diffs(b.inputs.begin() + 1, b.inputs.end());
    launchSumBehindRelu(b.inputs[0], diffs, sum.negativeSlope, b.outputs[0], shape, stream);
  };
  return step;
}

const Steps<SumBehindRelu> kSumBehindRelu{forward};

}  // namespace
}  // namespace resnode::cuda
