// The plain convolution: one thread an output value, every group, stride and dilation. The specification on the device,
// and what computes problems that nobody else takes (grouped ones with odd channels).
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

void launchConvolutionDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                             cudaStream_t stream);

}  // namespace resnode::cuda
