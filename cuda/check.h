// Every CUDA call goes through RESNODE_CUDA: a failure becomes an Error that names the statement, the place and the
// device; TypeScript makes a DeviceError of it.
#pragma once

#include <cuda_runtime_api.h>

namespace resnode::cuda {

// Throws Error. Codes: device/out-of-memory, device/lost (a sticky error: the context is gone), device/failed.
[[noreturn]] void fail(cudaError_t status, const char* statement, const char* file, int line);

}  // namespace resnode::cuda

#define RESNODE_CUDA(statement)                                                                     \
  do {                                                                                              \
    const cudaError_t status_ = (statement);                                                        \
    if (status_ != cudaSuccess) ::resnode::cuda::fail(status_, #statement, __FILE__, __LINE__);      \
  } while (false)
