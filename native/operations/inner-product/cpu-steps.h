// Inner products by our tiles: in bfloat16, and with weights that learn. They return false if they do not apply.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addBfloat16InnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addLearningInnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addLearningInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct);

}  // namespace resnode::cpu
