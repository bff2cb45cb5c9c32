// The diffs of all processes that train together, averaged: native/reference/all-mean.cc.
#pragma once

#include "step.h"

namespace resnode::cuda {

Step stepOf(const AllMean&, const Operation& operation, const StepContext& context);

}  // namespace resnode::cuda
