// Dropout in phase TRAIN: forward and backward are the same kernel.
#pragma once

#include "gradient-steps.h"

namespace resnode::cuda {

Step stepOf(const Dropout& dropout, const Operation& operation, const StepContext& context);
Step gradientOf(const Dropout& dropout, const GradientContext& gradient);

}  // namespace resnode::cuda
