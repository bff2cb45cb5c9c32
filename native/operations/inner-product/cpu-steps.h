// Ways of our tiles to compute inner products: in bfloat16, and those whose weights learn. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addBfloat16InnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addLearningInnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addLearningInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct);

}  // namespace resnode::cpu
