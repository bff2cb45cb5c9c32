// Implicit GEMM in IEEE float32 without tensor cores: 8 × 8 sums per thread, group 1, any GPU. It is used where tf32 is
// not allowed and cuDNN is missing, and is faster than `direct`.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct SimtTile {
  int pixels, filters;  // of the output, per block
};

const std::vector<SimtTile>& simtTiles();

// The reason why the problem is not supported; empty: it is.
std::string simtRefusal(const ConvolutionProblem& problem, const SimtTile& tile);

void launchConvolutionSimt(const ConvolutionProblem& problem, const SimtTile& tile,
                           const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace resnode::cuda
