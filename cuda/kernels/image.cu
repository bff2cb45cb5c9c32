#include "cuda/kernels/image.h"

#include "cuda/launch.h"

namespace resnode::cuda {
namespace {

__global__ void emptyKernel() {}

}  // namespace

cudaError_t imageStatus() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(emptyKernel));
}

}  // namespace resnode::cuda
