// Scale and bias of channels, in the layout of the input.
#include "native/cpu/kind-steps.h"
#include "native/operations/batch-norm/cpu-batch-norm.h"

namespace resnode::cpu {
namespace {

// Per channel for all images, or per channel and image: the rest of a BatchNorm, and attention (SENet's). Or along the
// last axis, where TensorFlow has channels.
bool addScale(StepBuilder& step, const Scale& scale) {
  const Shape& shape = step.inputShape(0);
  if (shape.size() < 2) return false;
  const bool isOfChannels = scale.outer == shape[0] && scale.channels == shape[1],
             isOfImages = !isOfChannels && scale.outer == 1 && scale.channels == shape[0] * shape[1],
             isOfLast = !isOfChannels && !isOfImages && scale.inner == 1;
  if (!isOfChannels && !isOfImages && !isOfLast) return false;
  const Layout layout = isOfLast ? step.plain(0) : step.channelwiseLayout(0);
  const ChannelView view =
      isOfLast ? ChannelView{1, 1, scale.outer, scale.channels, scale.channels} : *channelView(layout);
  if (isOfImages && view.outer != shape[0]) return false;
  const auto valuesOf = [&](ScaleOperand as, const std::optional<ParameterId>& parameter) {
    return scale.operand == as ? step.readPlain(1) : parameter ? step.plainParameter(*parameter) : Place{};
  };
  const Place factors = valuesOf(ScaleOperand::scale, scale.scale), biases = valuesOf(ScaleOperand::bias, scale.bias);
  const Place x = step.read(0, layout);
  const bool isItself = scale.operand != ScaleOperand::none && step.operation().inputs[0] == step.operation().inputs[1];
  const Place y = isItself ? step.write(0, layout) : step.writeOver(0, x, layout);
  const float slope = scale.relu ? scale.relu->negativeSlope : 1.f;
  step.call({x, y, factors, biases},
            [view, slope, perImage = isOfImages ? shape[1] : 0,
             pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
              return [=, x = at(0), y = at(1), factors = at(2), biases = at(3)] {
                scaleChannels(pool, view, {factors, perImage, 1}, {biases, perImage, 0}, slope, x, y);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Scale> kScale{addScale};

}  // namespace
}  // namespace resnode::cpu
