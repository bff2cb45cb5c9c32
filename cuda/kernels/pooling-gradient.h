// The gradients of pooling in float32 on nhwc (pooling_layer.cpp). Each input gathers from the windows that it lies in, so
// that no order of additions is left to chance.
#pragma once

#include "pooling.h"

namespace resnode::cuda {

// The first maximum in row-major order takes a window's whole diff. `scratch`: an int an output element, padding included.
void launchMaxPoolingGradient(const PoolingShape& shape, const float* x, const float* dy, float* dx, int* scratch, cudaStream_t stream);

// The diff is spread over the part of the window that lies in the plane, divided as in the forward pass.
void launchAveragePoolingGradient(const PoolingShape& shape, const float* dy, float* dx, cudaStream_t stream);

}  // namespace resnode::cuda
