#include "cuda/gradient-step.h"
#include "cuda/operations/lrn/lrn-gradient.h"
#include "cuda/operations/lrn/lrn.h"

namespace resnode::cuda {
namespace {

Step forward(const Lrn& lrn, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "lrn");
  const Shape shape = context.input(operation, 0).shape;
  step.launch = [lrn, shape](const Bindings& b, cudaStream_t stream) {
    launchLrn(lrn, b.floats(0), b.floatsOut(0), shape[0], shape[1], shape[2], shape[3], stream);
  };
  return step;
}

Step backward(const Lrn& lrn, const GradientContext& gradient) {
  Step step = gradient.plain("lrn");
  const Shape shape = gradient.x(0).shape;
  step.workspaceBytes = elementCount(shape) * sizeof(float);
  step.launch = [lrn, shape, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    launchLrnGradient(lrn, floats(at.x(b, 0)), floats(at.dy(b, 0)), floats(at.dx(b, 0)),
                      reinterpret_cast<float*>(b.workspace), shape[0], shape[1], shape[2], shape[3], stream);
  };
  return step;
}

const Steps<Lrn> kLrn{forward, backward};

}  // namespace
}  // namespace resnode::cuda
