// Scale and bias of channels in whatever layout the input has.
#include "native/cpu/kind-steps.h"
#include "native/operations/batch-norm/cpu-batch-norm.h"

namespace resnode::cpu {
namespace {

// Of channels, by parameters: a BatchNorm that nothing took in.
bool addScale(StepBuilder& step, const Scale& scale) {
  const Shape& shape = step.inputShape(0);
  const bool isOfChannels = shape.size() >= 2 && scale.outer == shape[0] && scale.channels == shape[1];
  if (scale.operand != ScaleOperand::none || !scale.scale || !isOfChannels) return false;
  const Layout layout = step.channelwiseLayout(0);
  const ChannelView view = *channelView(layout);
  const Place x = step.read(0, layout);
  std::vector<Place> places{x, step.writeOver(0, x, layout), step.scratch(batchNormScratch(view)),
                            step.plainParameter(*scale.scale)};
  places.push_back(scale.bias ? step.plainParameter(*scale.bias) : Place{});
  const float slope = scale.relu ? scale.relu->negativeSlope : 1.f;
  step.call(std::move(places), [view, slope, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
    const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
    return [=, x = at(0), y = at(1), scratch = addresses[2], factors = at(3), bias = at(4)] {
      scaleChannels(pool, view, factors, bias, slope, x, y, scratch);
    };
  });
  step.describe("loops");
  return true;
}

const Steps<Scale> kScale{addScale};

}  // namespace
}  // namespace resnode::cpu
