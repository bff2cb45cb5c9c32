// Whether this build of the library has code for a GPU.
#pragma once

#include <cuda_runtime_api.h>

namespace resnode::cuda {

// Of the current GPU: cudaSuccess, or why a kernel could not be loaded, for example cudaErrorNoKernelImageForDevice.
// All kernels are built for the same GPUs.
cudaError_t imageStatus();

}  // namespace resnode::cuda
