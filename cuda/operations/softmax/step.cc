#include "cuda/gradient-step.h"
#include "cuda/operations/softmax/softmax-gradient.h"
#include "cuda/operations/softmax/softmax.h"

namespace resnode::cuda {
namespace {

Step forward(const Softmax& softmax, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "softmax");
  step.inPlace = {0};
  step.launch = [softmax](const Bindings& b, cudaStream_t stream) {
    launchSoftmax(b.floats(0), b.floatsOut(0), softmax.outer, softmax.channels, softmax.inner, stream);
  };
  return step;
}

Step backward(const Softmax& softmax, const GradientContext& gradient) {
  Step step = gradient.plain("softmax");
  step.launch = [softmax, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (at.dx(b, 0))
      launchSoftmaxGradient(softmax, floats(at.y(b, 0)), floats(at.dy(b, 0)), floats(at.dx(b, 0)), stream);
  };
  return step;
}

const Steps<Softmax> kSoftmax{forward, backward};

}  // namespace
}  // namespace resnode::cuda
