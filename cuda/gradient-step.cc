#include "cuda/gradient-step.h"

#include <algorithm>

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// Used if every dy is absent.
Step zeroStep(const GradientContext& gradient) {
  Step step = gradient.likeOutput("zeros");
  step.inPlace.clear();
  std::vector<size_t> bytes;
  bytes.reserve(gradient.operation.outputs.size());
  for (TensorId id : gradient.operation.outputs) bytes.push_back(id < 0 ? 0 : gradient.context.layouts[id].bytes());
  step.launch = [bytes](const Bindings& b, cudaStream_t stream) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] > 0) RESNODE_CUDA(cudaMemsetAsync(b.outputs[i], 0, bytes[i], stream));
    }
  };
  return step;
}

}  // namespace

TensorLayout GradientContext::inForm(const Shape& shape) const {
  return y(0).isNhwc && shape.size() == 4 ? nhwcLayout(shape, context.type) : plainLayout(shape);
}

Step GradientContext::likeOutput(const char* implementation) const {
  Step step = plain(implementation);
  step.inPlace = {at.inputs + at.outputs};
  if (!y(0).isNhwc) return step;
  const auto isNhwc = [&](TensorId id, size_t input) {
    return isMapPlace(forward, input, context.program.tensors[id].shape);
  };
  for (size_t i = 0; i < at.inputs; ++i) step.nhwcInputs[i] = isNhwc(forward.inputs[i], i);
  for (size_t i = 0; i < at.outputs; ++i)
    step.nhwcInputs[at.inputs + i] = step.nhwcInputs[at.inputs + at.outputs + i] = isNhwc(forward.outputs[i], 0);
  return step;
}

Step GradientContext::plain(const char* implementation) const {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), false);
  step.implementation = implementation;
  return step;
}

ChannelShape channelShape(const TensorLayout& layout) {
  const ChannelView view = channelView(layout);
  return {view.outer, {view.channels, view.paddedChannels, view.inner}, layout.type};
}

BehindRelu behindOf(const std::optional<FusedRelu>& relu, const GradientPlaces& at, const Bindings& b) {
  return relu ? BehindRelu{at.dy(b, 0), at.y(b, 0), relu->negativeSlope} : BehindRelu{at.dy(b, 0)};
}

namespace {

Step forward(const Gradient& gradient, const Operation& operation, const StepContext& context) {
  const Operation& forward = context.program.operations[gradient.of];
  const GradientContext of{operation, forward, context, {forward.inputs.size(), forward.outputs.size()}};
  const KindSteps& steps = kindSteps().of(forward.attributes);
  if (!steps.backward) throw Error("program/invalid", "layer \"" + forward.layer + "\" has no gradient", forward.layer);
  const auto from = operation.inputs.begin() + of.at.inputs + of.at.outputs;
  const bool isAny = std::any_of(from, operation.inputs.end(), [](TensorId id) { return id >= 0; });
  const bool takesAny = forward.attributes.is<Slice>() || forward.attributes.is<LstmUnit>();
  if (takesAny ? !isAny : *from < 0) return zeroStep(of);
  return steps.backward(forward.attributes, of);
}

const Steps<Gradient> kGradient{forward};

}  // namespace

}  // namespace resnode::cuda
