// The gradients of pooling on nhwc (pooling_layer.cpp), summed in float32. Each input gathers from the windows that
// contain it, so the order of additions is fixed.
#pragma once

#include "cuda/operations/pooling/pooling.h"

namespace resnode::cuda {

// The source of the maxima's positions; one of the three is set.
struct MaximaKnown {
  const void* x = nullptr;      // of the shape's type: the maxima are found again
  const float* mask = nullptr;  // as launchMaxPooling writes it
  const uint8_t* places = nullptr;
};

// The first maximum in row-major order gets a window's whole diff. `scratch`: an int per output element, including
// padding; not needed if the positions are known.
void launchMaxPoolingGradient(const PoolingShape& shape, ElementType type, const MaximaKnown& known, const void* dy,
                              void* dx, int* scratch, cudaStream_t stream);

// The diff is spread over the part of the window inside the plane, and divided as in the forward pass.
void launchAveragePoolingGradient(const PoolingShape& shape, ElementType type, const void* dy, void* dx,
                                  cudaStream_t stream);

}  // namespace resnode::cuda
