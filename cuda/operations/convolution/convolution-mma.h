// Implicit GEMM on tensor cores (mma.sync, sm_80 and later) with bias + residual + ReLU in the epilogue: pixels × filters
// over kernel positions × input channels; a 1×1 convolution is the plain case. float16, bfloat16, tf32, 8-bit integers; group 1.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct MmaTile {
  int pixels, filters;  // of the output, a block
  int depth;            // of the reduction, a stage: elements
  int stages;           // of shared memory, filled by cp.async
  // Blocks that share one output tile, each a part of the reduction: small outputs of deep reductions would leave most of
  // the GPU idle. Their sums meet in the workspace and are added in order: as deterministic as one block.
  int splits = 1;
  // By the last block of a tile, which waits for nobody, instead of by a second kernel: a node less where nodes are the time.
  bool isJoined = false;
};

// The tiles that are compiled, for the autotuner; each with splits = 1.
const std::vector<MmaTile>& mmaTiles();

// Empty: supported. Otherwise the reason why not. computeCapability: 10·major + minor.
std::string mmaRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability);

size_t mmaWorkspaceBytes(const ConvolutionProblem& problem, const MmaTile& tile);
// ConvolutionArguments::arrivals that it takes: of a joined tile, one an output tile.
int64_t mmaArrivals(const ConvolutionProblem& problem, const MmaTile& tile);

void launchConvolutionMma(const ConvolutionProblem& problem, const MmaTile& tile, const ConvolutionArguments& arguments,
                          cudaStream_t stream);

}  // namespace resnode::cuda
