// Implicit GEMM on tensor cores (mma.sync, sm_80 and later) with bias + residual + ReLU in the epilogue: pixels × filters
// over kernel positions × input channels; a 1×1 convolution is the plain case. float16, bfloat16, tf32; group 1.
#pragma once

#include "../convolution/problem.h"

namespace resnode::cuda {

struct MmaTile {
  int pixels, filters;  // of the output, a block
  int depth;            // of the reduction, a stage
  int stages;           // of shared memory, filled by cp.async
};

// The tiles that are compiled, for the autotuner.
const std::vector<MmaTile>& mmaTiles();

// Empty: supported. Otherwise the reason why not.
std::string mmaRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability);

void launchConvolutionMma(const ConvolutionProblem& problem, const MmaTile& tile, const ConvolutionArguments& arguments,
                          cudaStream_t stream);

}  // namespace resnode::cuda
