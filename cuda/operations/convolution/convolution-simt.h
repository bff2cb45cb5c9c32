// Implicit GEMM in IEEE float32, on the ordinary units: 8 × 8 sums a thread. For group 1, on any GPU; where tf32 is not
// wanted and cuDNN is not there, what stands between `direct` and nothing.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct SimtTile {
  int pixels, filters;  // of the output, a block
};

const std::vector<SimtTile>& simtTiles();

// Empty: supported. Otherwise the reason why not.
std::string simtRefusal(const ConvolutionProblem& problem, const SimtTile& tile);

void launchConvolutionSimt(const ConvolutionProblem& problem, const SimtTile& tile,
                           const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace resnode::cuda
