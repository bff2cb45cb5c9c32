#pragma once

#include "cuda/operations/pooling/pooling.h"
#include "cuda/step.h"

namespace resnode::cuda {

// For a pooling from and to nhwc of the program's element type.
PoolingShape poolingShape(const Pooling& pooling, const Operation& operation, const StepContext& context);

}  // namespace resnode::cuda
