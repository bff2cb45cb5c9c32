#include "cuda/gradient-step.h"
#include "cuda/operations/losses/loss-gradient.h"
#include "cuda/operations/losses/losses.h"

namespace resnode::cuda {
namespace {

Step forward(const SoftmaxLoss& loss, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "softmax loss");
  step.checksLabels = true;
  step.labelClasses = loss.channels;
  step.launch = [loss](const Bindings& b, cudaStream_t stream) {
    launchSoftmaxLoss(loss, b.floats(0), b.floats(1), b.floatsOut(1), b.floatsOut(0), b.badLabel, stream);
  };
  return step;
}

Step forward(const EuclideanLoss&, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "euclidean loss");
  const Shape& shape = context.input(operation, 0).shape;
  step.launch = [batch = shape.empty() ? 1 : shape[0], count = elementCount(shape)](const Bindings& b,
                                                                                    cudaStream_t stream) {
    launchEuclideanLoss(b.floats(0), b.floats(1), b.floatsOut(0), batch, count, stream);
  };
  return step;
}

Step backward(const SoftmaxLoss& loss, const GradientContext& gradient) {
  Step step = gradient.plain("softmax loss");
  step.workspaceBytes = sizeof(float);
  step.launch = [loss, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    launchSoftmaxLossGradient(loss, floats(at.x(b, 0)), floats(at.x(b, 1)), floats(at.dy(b, 0)), floats(at.dx(b, 0)),
                              reinterpret_cast<float*>(b.workspace), stream);
  };
  return step;
}

Step backward(const EuclideanLoss&, const GradientContext& gradient) {
  Step step = gradient.plain("euclidean loss");
  const Shape& shape = gradient.x(0).shape;
  step.launch = [batch = shape.empty() ? 1 : shape[0], count = elementCount(shape), at = gradient.at](
                    const Bindings& b, cudaStream_t stream) {
    launchEuclideanLossGradient(floats(at.x(b, 0)), floats(at.x(b, 1)), floats(at.dy(b, 0)), floats(at.dx(b, 0)),
                                floats(at.dx(b, 1)), batch, count, stream);
  };
  return step;
}

const Steps<SoftmaxLoss> kSoftmaxLoss{forward, backward};
const Steps<EuclideanLoss> kEuclideanLoss{forward, backward};

}  // namespace
}  // namespace resnode::cuda
