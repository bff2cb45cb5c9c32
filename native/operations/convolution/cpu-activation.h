// What stands behind a convolution or an inner product as its last step.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

// A ReLU, a Clip to [0, most] or a PReLU; at most one of them.
struct FusedActivation {
  std::optional<FusedRelu> relu;
  std::optional<float> clip;
  std::optional<ParameterId> slopes;

  FusedActivation() = default;
  template <class Operation>
  explicit FusedActivation(const Operation& of) : relu(of.relu), clip(of.clip), slopes(of.slopes) {}

  explicit operator bool() const { return relu || clip || slopes; }
  // As tiles take it. `slopes`: where slopesInBlocks() placed them; `perUnit`: levels of the result to 1.
  TileActivation bind(const float* slopes, float perUnit = 1) const;
};

// A parameter with a value for each of so many channels, or one for all, filled up with zeros to whole blocks.
Place parameterInBlocks(StepBuilder& step, ParameterId id, int64_t channels);
// Those of a PReLU; nowhere where there is none.
Place slopesInBlocks(StepBuilder& step, const FusedActivation& activation, int64_t channels);

// An activation over what a call of the same step has written in a layout; slopes need one that has a channelView().
void addActivationOver(StepBuilder& step, const FusedActivation& activation, const Place& place, const Layout& layout);

}  // namespace resnode::cpu
