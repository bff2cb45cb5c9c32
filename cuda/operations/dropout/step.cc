#include "cuda/gradient-step.h"

#include "cuda/operations/dropout/dropout.h"

namespace resnode::cuda {
namespace {

void drop(const Dropout& dropout, const TensorLayout& layout, const float* pass, const void* from, void* to,
          cudaStream_t stream) {
  if (layout.isNhwc) launchDropout(dropout, pass, layout.type, from, to, layout.nhwc, stream);
  else
    launchDropout(dropout, pass, static_cast<const float*>(from), static_cast<float*>(to), layout.elements(), stream);
}

Step forward(const Dropout& dropout, const Operation& operation, const StepContext& context) {
  Step step;
  const TensorLayout& layout = context.output(operation, 0);
  step.nhwcInputs = {layout.isNhwc, false};
  step.inPlace = {0};
  step.implementation = "dropout";
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    drop(dropout, layout, b.floats(1), b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

// The mask is drawn again, so it need not be stored.
Step backward(const Dropout& dropout, const GradientContext& gradient) {
  Step step = gradient.likeOutput("dropout");
  step.launch = [=, layout = gradient.y(0), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (at.dx(b, 0)) drop(dropout, layout, b.floats(1), at.dy(b, 0), at.dx(b, 0), stream);
  };
  return step;
}

const Steps<Dropout> kDropout{forward, backward};

}  // namespace
}  // namespace resnode::cuda
