// Plans for a GPU that is not here: what a net would take, by the rules of resnode's own kernels. Needs no driver.
#pragma once

#include "native/core/backend.h"

namespace resnode::cuda {

// Plans alone; everything else throws Error("device/unsupported"). `memory`: bytes of the GPU.
Backend* createPlanningBackend(size_t memory);

}  // namespace resnode::cuda
