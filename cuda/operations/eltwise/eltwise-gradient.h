#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/operations/eltwise/eltwise.h"

namespace resnode::cuda {

// The diff of input number `which`. Sums read no inputs. `quotientOf`: the result of a product, whose diff is then the
// result divided by the input; null: the product of the other inputs.
void launchEltwiseGradient(const EltwiseInputs& eltwise, int which, const BehindRelu& behind, const void* quotientOf,
                           void* dx, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
