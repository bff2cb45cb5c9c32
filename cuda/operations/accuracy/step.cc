#include "cuda/step.h"
#include "cuda/operations/accuracy/accuracy.h"

namespace resnode::cuda {
namespace {

Step forward(const Accuracy& accuracy, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "accuracy");
  step.checksLabels = true;
  step.labelClasses = accuracy.channels;
  step.launch = [accuracy](const Bindings& b, cudaStream_t stream) {
    launchAccuracy(accuracy, b.floats(0), b.floats(1), b.floatsOut(0), b.floatsOut(1), b.badLabel, stream);
  };
  return step;
}

const Steps<Accuracy> kAccuracy{forward};

}  // namespace
}  // namespace resnode::cuda
