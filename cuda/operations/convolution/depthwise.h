// Convolutions in which every channel is its own group, and their gradients, on nhwc. A thread computes 8 channels, and
// a block keeps its filters in shared memory as float32.
//
// By this model they are bound by memory. A 3×3 convolution of stride 1 in 16 bits moves 4 bytes per value to and from
// memory. A value's 9 products read 18 bytes of x through L1 and, because four columns share them, 9 bytes of weights
// from shared memory: on an H100 (132 × 128 bytes per clock, 1.7 GHz; 3000 GB/s) 0.94 ps against 1.33 ps. The gradient
// has one column per thread, 54 bytes: 1.9 ps, 0.7 of the memory's limit. At stride 2, as in bilinear upsampling, 4 of
// 16 products reach a position: 24 bytes, 0.84 ps, the time of 2.5 bytes of memory. The gradient of the weights reads x
// and dy once per row of the window, the second and third time through L2 (5.5 TB/s): 12 bytes, 2.2 ps, 0.6 of the
// limit.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// Whether these kernels support a problem: one output per input channel, and filters that fit into shared memory.
bool isDepthwise(const ConvolutionProblem& problem);

void launchDepthwise(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, cudaStream_t stream);

// dx from dy and the forward pass's weights.
void launchDepthwiseDataGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                 cudaStream_t stream);

// dw[channel, r, s] = Σ over all output pixels of dy · x, in float32 and the layout of the weights, with zeros in the
// padding. Workspace: depthwiseWeightGradientScratch() floats.
void launchDepthwiseWeightGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                   cudaStream_t stream);
int64_t depthwiseWeightGradientScratch(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
