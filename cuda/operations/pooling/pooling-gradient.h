// The gradients of pooling on nhwc (pooling_layer.cpp), summed in float32. Each input gathers from the windows that it lies in, so
// that no order of additions is left to chance.
#pragma once

#include "cuda/operations/pooling/pooling.h"

namespace resnode::cuda {

// The first maximum in row-major order takes a window's whole diff. `scratch`: an int an output element, padding included.
void launchMaxPoolingGradient(const PoolingShape& shape, ElementType type, const void* x, const void* dy, void* dx,
                              int* scratch, cudaStream_t stream);

// The diff is spread over the part of the window that lies in the plane, divided as in the forward pass.
void launchAveragePoolingGradient(const PoolingShape& shape, ElementType type, const void* dy, void* dx,
                                  cudaStream_t stream);

}  // namespace resnode::cuda
