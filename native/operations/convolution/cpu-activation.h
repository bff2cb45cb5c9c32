// The activation that is fused into a convolution or an inner product as its last step.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

// At most one of a ReLU, a Clip to [0, clip] and a PReLU.
struct FusedActivation {
  std::optional<FusedRelu> relu;
  std::optional<float> clip;
  std::optional<ParameterId> slopes;

  FusedActivation() = default;
  template <class Operation>
  explicit FusedActivation(const Operation& of) : relu(of.relu), clip(of.clip), slopes(of.slopes) {}

  explicit operator bool() const { return relu || clip || slopes; }
  // In the form that tiles take. `slopes`: where slopesInBlocks() placed them. `perUnit`: the result's levels per unit.
  TileActivation bind(const float* slopes, float perUnit = 1) const;
};

// A parameter with one value per channel. A single value is repeated for all. Padded with zeros to whole blocks.
Place parameterInBlocks(StepBuilder& step, ParameterId id, int64_t channels);
// The slopes of a PReLU. An empty Place if there is none.
Place slopesInBlocks(StepBuilder& step, const FusedActivation& activation, int64_t channels);

// Applies an activation in place to a result that this step has written. Slopes need a layout with a channelView().
void addActivationOver(StepBuilder& step, const FusedActivation& activation, const Place& place, const Layout& layout);

}  // namespace resnode::cpu
