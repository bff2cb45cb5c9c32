// Implicit GEMM on tensor cores (mma.sync, sm_80 and later) with bias + residual + activation in the epilogue: pixels ×
// filters, reduced over kernel positions × input channels. For a 1×1 convolution it is an ordinary product. float16,
// bfloat16, tf32, 8-bit integers; group 1.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct MmaTile {
  int pixels, filters;  // of the output, per block
  int depth;            // elements of the reduction per stage
  int stages;           // in shared memory, filled by cp.async
  // The number of blocks that share an output tile, each with a part of the reduction. Without splits, small outputs
  // with deep reductions would leave most of the GPU idle. The partial sums are added in order, so the result is as
  // deterministic as that of one block.
  int splits = 1;
  // The last block of a tile adds the parts, without waiting, instead of a second kernel. This saves a graph node,
  // which matters if nodes dominate the time.
  bool isJoined = false;
};

// The compiled tiles, for the autotuner, each with splits = 1.
const std::vector<MmaTile>& mmaTiles();

// The reason why the problem is not supported; empty: it is. computeCapability: 10·major + minor.
std::string mmaRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability);

size_t mmaWorkspaceBytes(const ConvolutionProblem& problem, const MmaTile& tile);
// The number of ConvolutionArguments::arrivals: one per output tile if the tile is joined.
int64_t mmaArrivals(const ConvolutionProblem& problem, const MmaTile& tile);

void launchConvolutionMma(const ConvolutionProblem& problem, const MmaTile& tile, const ConvolutionArguments& arguments,
                          cudaStream_t stream);

}  // namespace resnode::cuda
