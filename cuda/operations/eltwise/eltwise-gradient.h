#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/operations/eltwise/eltwise.h"

namespace resnode::cuda {

// The diff of the input number `which`. Sums read no inputs. `quotientOf` (null: the product of the others) is what a
// product made: its diff is then that over the input.
void launchEltwiseGradient(const EltwiseInputs& eltwise, int which, const BehindRelu& behind, const void* quotientOf,
                           void* dx, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
