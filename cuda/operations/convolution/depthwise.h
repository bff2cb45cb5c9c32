// Convolutions whose every channel is a group of its own, and their gradients, on nhwc: a thread has 8 channels, a block's
// filters lie in shared memory as float32.
//
// By their model they wait for memory. A 3×3 convolution of stride 1 in 16 bits moves 4 bytes a value to and from memory; a
// value's 9 products read 18 bytes of x through L1 and, since four columns share them, 9 of weights from shared memory: on an
// H100 (132 × 128 bytes a clock, 1.7 GHz; 3000 GB/s) 0.94 ps against 1.33 ps. The gradient has a column a thread, 54 bytes:
// 1.9 ps, 0.7 of the memory's limit; at stride 2, which bilinear upsampling is, 4 of 16 products reach a place: 24 bytes,
// 0.84 ps, as 2.5 bytes of memory take. The gradient by the weights reads x and dy once a row of the window, the second and third
// time through L2 (5.5 TB/s): 12 bytes, 2.2 ps, 0.6 of the limit.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// Whether they compute a problem: an output for each input channel, and filters that fit into shared memory.
bool isDepthwise(const ConvolutionProblem& problem);

void launchDepthwise(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, cudaStream_t stream);

// dx of dy and the weights, which lie as the forward pass reads them.
void launchDepthwiseDataGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                 cudaStream_t stream);

// dw[channel, r, s] = Σ over all output pixels of dy · x, as the weights lie, in float32, with zeros in its padding. Its
// workspace: depthwiseWeightGradientScratch() floats.
void launchDepthwiseWeightGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                   cudaStream_t stream);
int64_t depthwiseWeightGradientScratch(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
