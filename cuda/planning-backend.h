// Plans for a GPU that is not present, by the rules of resnode's own kernels. Shows the memory that a net would need.
// No driver is required.
#pragma once

#include "native/core/backend.h"

namespace resnode::cuda {

// Plans only; all else throws Error("device/unsupported"). `memory`: bytes of the GPU.
Backend* createPlanningBackend(size_t memory);

}  // namespace resnode::cuda
