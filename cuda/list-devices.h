// Lists the GPUs and the libraries that they need, without opening a GPU.
#pragma once

#include "native/core/backend.h"

namespace resnode::cuda {

// Throws nothing if something is missing; `problem` reports it.
DeviceList listDevices();

inline constexpr const char* kWithoutCudnn =
    "Without it, openDevice('cuda', { cudnn: false }) uses only resnode's own kernels";

// That cuDNN was not found, and what to do. Empty if it was found.
std::string cudnnProblem();

}  // namespace resnode::cuda
