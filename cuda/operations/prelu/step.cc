#include "cuda/gradient-step.h"
#include "cuda/operations/prelu/prelu.h"

namespace resnode::cuda {
namespace {

Step forward(const PRelu& prelu, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "prelu");
  const TensorLayout& layout = context.output(operation, 0);
  const ChannelView view = channelView(layout);
  step.parameters = {{prelu.slope, {}}};
  step.launch = [=, shared = prelu.channelShared](const Bindings& b, cudaStream_t stream) {
    launchPRelu(layout.type, b.inputs[0], b.parameter<float>(0), shared, b.outputs[0], view.outer, view.channels,
                view.paddedChannels, view.inner, stream);
  };
  return step;
}

Step backward(const PRelu& prelu, const GradientContext& gradient) {
  Step step = gradient.likeOutput("prelu");
  const ChannelShape shape = channelShape(gradient.y(0));
  step.parameters = {{prelu.slope, {}}};
  if (gradient.wantsDw(0)) step.workspaceBytes = bytesOfFloats(preluGradientScratch(shape, prelu.channelShared));
  step.launch = [=, shared = prelu.channelShared, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    launchPReluGradient(at.x(b, 0), at.dy(b, 0), b.parameter<float>(0), shared, at.dx(b, 0), at.dw(b, 0), shape,
                        floatsAt(b), stream);
  };
  return step;
}

const Steps<PRelu> kPRelu{forward, backward};

}  // namespace
}  // namespace resnode::cuda
