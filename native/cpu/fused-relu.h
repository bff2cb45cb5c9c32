// The gradient of a ReLU that is the last step of another operation.
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

}  // namespace resnode::cpu
