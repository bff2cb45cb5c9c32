// The plain convolution of 8-bit integers: one thread an output value, four products an instruction (dp4a); every group whose
// channels divide by four, stride and dilation.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

void launchIntegersDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                          cudaStream_t stream);

}  // namespace resnode::cuda
