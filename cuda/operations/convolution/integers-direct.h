// The direct convolution of 8-bit integers: one thread per output value, four products per instruction (dp4a), for
// every stride and dilation, and every group whose channels are a multiple of four.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

void launchIntegersDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                          cudaStream_t stream);

}  // namespace resnode::cuda
