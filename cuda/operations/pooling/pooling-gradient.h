// The gradients of pooling on nhwc (pooling_layer.cpp), summed in float32. Each input gathers from the windows that it lies in, so
// that no order of additions is left to chance.
#pragma once

#include "cuda/operations/pooling/pooling.h"

namespace resnode::cuda {

// What tells where the maxima lie; one of the three.
struct MaximaKnown {
  const void* x = nullptr;      // of the shape's type: they are found again
  const float* mask = nullptr;  // as launchMaxPooling makes them
  const uint8_t* places = nullptr;
};

// The first maximum in row-major order takes a window's whole diff. `scratch`: an int an output element, padding included;
// not needed where the places are known.
void launchMaxPoolingGradient(const PoolingShape& shape, ElementType type, const MaximaKnown& known, const void* dy,
                              void* dx, int* scratch, cudaStream_t stream);

// The diff is spread over the part of the window that lies in the plane, divided as in the forward pass.
void launchAveragePoolingGradient(const PoolingShape& shape, ElementType type, const void* dy, void* dx,
                                  cudaStream_t stream);

}  // namespace resnode::cuda
