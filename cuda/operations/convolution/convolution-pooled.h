// A convolution on tensor cores with the maximum pooling behind it, whose input is never written: of images, the first
// layer's result is the largest map of a residual net. A block computes what its windows cover, where they overlap with
// another block's twice. float16, bfloat16; 3×3 windows of stride 2, group 1.
#pragma once

#include "cuda/operations/convolution/convolution-mma.h"

namespace resnode::cuda {

const std::vector<MmaTile>& pooledTiles();

// Empty: supported. Otherwise the reason why not. Without a tile: whatever the GPU. computeCapability: 10·major + minor.
std::string pooledRefusal(const ConvolutionProblem& problem);
std::string pooledRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability);

// Of a problem with `pooling`, whose output it writes: what launchMaxPooling makes of the convolution's result, bit for bit.
void launchConvolutionPooled(const ConvolutionProblem& problem, const MmaTile& tile,
                             const ConvolutionArguments& arguments, cudaStream_t stream);

}  // namespace resnode::cuda
