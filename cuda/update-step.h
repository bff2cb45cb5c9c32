// The solver's update as a step.
#pragma once

#include "step.h"

namespace resnode::cuda {

// Parameters are updated in their plain form; the forms that the program's kernels read are made from it again behind
// each update. So it must come behind all steps that read them.
Step stepOf(const Update& update, const Operation& operation, const StepContext& context);

}  // namespace resnode::cuda
