#include "cuda/gradient-step.h"
#include "cuda/operations/elementwise/elementwise-gradient.h"
#include "cuda/operations/elementwise/elementwise.h"

namespace resnode::cuda {
namespace {

Step elementwiseStep(const Elementwise& function, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "elementwise");
  const TensorLayout& layout = context.output(operation, 0);
  const int64_t channels = layout.isNhwc ? layout.nhwc.c : 1, padded = layout.isNhwc ? layout.nhwc.paddedChannels : 1;
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    launchUnary(function, layout.type, b.inputs[0], b.outputs[0], layout.elements(), channels, padded, stream);
  };
  return step;
}

Step elementwiseGradient(const Elementwise& function, const GradientContext& gradient) {
  Step step = gradient.likeOutput("elementwise");
  step.launch = [=, at = gradient.at, layout = gradient.y(0)](const Bindings& b, cudaStream_t stream) {
    launchUnaryGradient(function, at.x(b, 0), at.y(b, 0), at.dy(b, 0), at.dx(b, 0), paddedShape(layout), stream);
  };
  return step;
}

template <class Kind>
Step forward(const Kind& function, const Operation& operation, const StepContext& context) {
  return elementwiseStep(function, operation, context);
}
template <class Kind>
Step backward(const Kind& function, const GradientContext& gradient) {
  return elementwiseGradient(function, gradient);
}

const bool kAreRegistered = [] {
  Elementwise::forEachType([](const auto& kind) {
    using Kind = std::decay_t<decltype(kind)>;
    Steps<Kind>{forward<Kind>, backward<Kind>};
  });
  return true;
}();

}  // namespace
}  // namespace resnode::cuda
