// Inner products whose weights learn, by our tiles. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addLearningInnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addLearningInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct);

}  // namespace resnode::cpu
