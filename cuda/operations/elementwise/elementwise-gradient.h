// Gradients of the functions in elementwise.h. Maps have the shape's type.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/operations/elementwise/elementwise.h"

namespace resnode::cuda {

// dx = dy · f'(x). x or y is not read if the function does not need it (ts/gradient/gradient-needs.ts); ReLU and ELU
// use y if there is no x. May work in place on dy.
void launchUnaryGradient(const Elementwise& function, const void* x, const void* y, const void* dy, void* dx,
                         const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
