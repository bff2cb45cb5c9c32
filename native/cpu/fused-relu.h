// A ReLU that is the last step of another operation, where our loops compute it or its gradient.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

// The diff of an operation's result (`dy`, an input of its gradient) with the fused ReLU's derivative applied, in any
// layout. The sign comes from the result (`y`).
class DiffBehindRelu {
 public:
  DiffBehindRelu(StepBuilder& step, const std::optional<FusedRelu>& relu, size_t y, size_t dy);
  Place in(const Layout& layout);

 private:
  StepBuilder& step_;
  size_t dy_;
  std::optional<Place> masked_;
  Layout layout_;
};

// A ReLU over what a call of the same step has written in `layout`.
void addReluOver(StepBuilder& step, const std::optional<FusedRelu>& relu, const Place& place, const Layout& layout);

}  // namespace resnode::cpu
