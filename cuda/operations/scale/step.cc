#include "cuda/operations/scale/step.h"
#include "cuda/gradient-step.h"
#include "cuda/operations/scale/affine-gradient.h"

namespace resnode::cuda {
namespace {

Step forward(const Scale& scale, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "affine");
  const TensorLayout& layout = context.output(operation, 0);
  Affine affine{scale.outer, scale.channels, scale.inner, scale.channels};
  if (layout.isNhwc) affine = affineOver(channelView(layout));
  if (scale.relu) {
    affine.relu = true;
    affine.negativeSlope = scale.relu->negativeSlope;
  }
  if (operation.inputs.size() > 1) step.nhwcInputs[1] = false;
  // Scale and bias are either a parameter or the second input.
  const auto parameter = [&](const std::optional<ParameterId>& id) {
    if (!id) return -1;
    step.parameters.push_back({*id, {}});
    return static_cast<int>(step.parameters.size()) - 1;
  };
  const int scaleAt = parameter(scale.scale), biasAt = parameter(scale.bias);
  step.launch = [=, operand = scale.operand](const Bindings& b, cudaStream_t stream) {
    Affine bound = affine;
    bound.scale = operand == ScaleOperand::scale ? b.floats(1) : scaleAt >= 0 ? b.parameter<float>(scaleAt) : nullptr;
    bound.bias = operand == ScaleOperand::bias ? b.floats(1) : biasAt >= 0 ? b.parameter<float>(biasAt) : nullptr;
    launchAffine(bound, layout.type, b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

Step backward(const Scale& scale, const GradientContext& gradient) {
  Step step = gradient.likeOutput("affine");
  const TensorLayout& layout = gradient.y(0);
  const ChannelShape shape =
      layout.isNhwc ? channelShape(layout) : ChannelShape{scale.outer, {scale.channels, scale.channels, scale.inner}};
  const bool hasParameter = scale.operand != ScaleOperand::scale && scale.scale;
  if (hasParameter) step.parameters = {{*scale.scale, {}}};
  step.workspaceBytes = bytesOfFloats(channelSumsScratch(shape));
  step.launch = [=, relu = scale.relu, operand = scale.operand, at = gradient.at](const Bindings& b,
                                                                                  cudaStream_t stream) {
    AffineGradient affine;
    affine.behind = behindOf(relu, at, b);
    affine.x = at.x(b, 0);
    affine.scale = operand == ScaleOperand::scale ? b.floats(1) : hasParameter ? b.parameter<float>(0) : nullptr;
    affine.dx = at.dx(b, 0);
    affine.dScale = operand == ScaleOperand::scale ? b.floatsOut(1) : at.dw(b, 0);
    affine.dBias = operand == ScaleOperand::bias ? b.floatsOut(1) : at.dw(b, 1);
    launchAffineGradient(affine, shape, floatsAt(b), stream);
  };
  return step;
}

const Steps<Scale> kScale{forward, backward};

}  // namespace
}  // namespace resnode::cuda
