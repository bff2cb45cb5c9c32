// The direct convolution: one thread per output value, for every group, stride and dilation. It is the specification on
// the device, and computes the problems that no other kernel takes (grouped ones with odd channels).
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

void launchConvolutionDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                             cudaStream_t stream);

}  // namespace resnode::cuda
