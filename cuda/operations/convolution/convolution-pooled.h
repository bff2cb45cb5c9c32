// A tensor-core convolution with the max pooling that follows it. The convolution's result is never written to memory:
// for images, the first layer's result is the largest map of a residual net. Pixels where the windows of two blocks
// overlap are computed twice. float16, bfloat16; 3×3 windows of stride 2, group 1.
#pragma once

#include "cuda/operations/convolution/convolution-mma.h"

namespace resnode::cuda {

const std::vector<MmaTile>& pooledTiles();

// The reason why the problem is not supported; empty: it is. Without a tile: on any GPU. computeCapability: 10·major +
// minor.
std::string pooledRefusal(const ConvolutionProblem& problem);
std::string pooledRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability);

// For a problem with `pooling`: writes what launchMaxPooling would compute from the convolution's result, bit for bit.
void launchConvolutionPooled(const ConvolutionProblem& problem, const MmaTile& tile,
                             const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace resnode::cuda
