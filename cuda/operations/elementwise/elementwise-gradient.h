// Gradients of elementwise.h. Maps have the shape's type.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/operations/elementwise/elementwise.h"

namespace resnode::cuda {

// dx = dy · f'(x). Where the function needs no x, or no y, it is not read (ts/gradient/gradient-needs.ts); ReLU and ELU
// take y where there is no x. In place on dy allowed.
void launchUnaryGradient(const Elementwise& function, const void* x, const void* y, const void* dy, void* dx,
                         const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
