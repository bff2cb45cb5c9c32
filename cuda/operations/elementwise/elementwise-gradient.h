// Gradients of what works element by element: those of elementwise.h and eltwise.h. Maps have the shape's type.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/operations/elementwise/elementwise.h"
#include "cuda/operations/eltwise/eltwise.h"

namespace resnode::cuda {

// dx = dy · f'(x). Where the function needs no x, or no y, it is not read (ts/gradient/gradient-needs.ts); ReLU and ELU
// take y where there is no x. In place on dy allowed.
void launchUnaryGradient(const Elementwise& function, const void* x, const void* y, const void* dy, void* dx,
                         const ChannelShape& shape, cudaStream_t stream);

// dx as dy, or what comes through the ReLU behind it. In place on dy allowed.
void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream);

// PReLU: dx, and the slopes' diff (one, or one a channel); null where not wanted. `scratch`: preluGradientScratch() floats,
// where the slopes' is.
void launchPReluGradient(const void* x, const void* dy, const float* slope, bool channelShared, void* dx, float* dSlope,
                         const ChannelShape& shape, float* scratch, cudaStream_t stream);
int64_t preluGradientScratch(const ChannelShape& shape, bool channelShared);

// The diff of the input number `which`. Sums read no inputs. `quotientOf` (null: the product of the others) is what a
// product made: its diff is then that over the input.
void launchEltwiseGradient(const EltwiseInputs& eltwise, int which, const BehindRelu& behind, const void* quotientOf,
                           void* dx, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
