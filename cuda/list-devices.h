// What GPUs there are, and what they need beside them, without opening any.
#pragma once

#include "native/core/backend.h"

namespace resnode::cuda {

// Throws nothing for what is missing: `problem` says it.
DeviceList listDevices();

// Empty, or that cuDNN was not found and what to do.
std::string cudnnProblem();

}  // namespace resnode::cuda
