#include "cuda/gradient-step.h"
#include "cuda/kernels/convert.h"

namespace resnode::cuda {
namespace {

// A feature map is converted to row-major first. A row-major tensor shares its memory with the result.
Step forward(const Reshape&, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "reshape");
  const TensorLayout& input = context.input(operation, 0);
  step.nhwcInputs = {input.isNhwc};
  if (!input.isNhwc) step.aliasOf = 0;
  step.launch = [input](const Bindings& b, cudaStream_t stream) {
    if (input.isNhwc) launchNhwcToNchw(input.type, b.inputs[0], input.nhwc, b.floatsOut(0), stream);
    else if (b.inputs[0] != b.outputs[0])
      RESNODE_CUDA(cudaMemcpyAsync(b.outputs[0], b.inputs[0], input.bytes(), cudaMemcpyDeviceToDevice, stream));
  };
  return step;
}

// The diff of the output is that of the input, with the same numbers.
Step backward(const Reshape&, const GradientContext& gradient) {
  Step step = gradient.plain("reshape");
  step.aliasOf = gradient.at.inputs + gradient.at.outputs;
  step.launch = [bytes = elementCount(gradient.x(0).shape) * sizeof(float), at = gradient.at](const Bindings& b,
                                                                                              cudaStream_t stream) {
    if (!at.dx(b, 0) || at.dx(b, 0) == at.dy(b, 0)) return;
    RESNODE_CUDA(cudaMemcpyAsync(at.dx(b, 0), at.dy(b, 0), bytes, cudaMemcpyDeviceToDevice, stream));
  };
  return step;
}

const Steps<Reshape> kReshape{forward, backward};

}  // namespace
}  // namespace resnode::cuda
