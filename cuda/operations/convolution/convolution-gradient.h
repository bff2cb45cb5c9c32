// The gradients of a convolution with respect to input and weights, on nhwc of the problem's type, as implicit matrix
// products without tensor cores, summed in float32, for any window, stride, dilation and group. The gradient of the
// bias is a sum over channels (channel-sums.h).
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// dx[n, h, w, c] = Σ over k, r, s of dy · weights. `weights` are those of the forward pass. The padding of dx becomes
// zero. `scratch`: dataGradientScratch() floats.
void launchDataGradient(const ConvolutionProblem& problem, const void* dy, const void* weights, void* dx,
                        float* scratch, cudaStream_t stream);
int64_t dataGradientScratch(const ConvolutionProblem& problem);

// dw[k, r, s, c] = Σ over all output pixels of dy · x, in float32 and the layout of the weights, with zeros in the
// padding. `scratch`: weightGradientScratch() floats.
void launchWeightGradient(const ConvolutionProblem& problem, const void* x, const void* dy, float* dw, float* scratch,
                          cudaStream_t stream);
int64_t weightGradientScratch(const ConvolutionProblem& problem);

// Converts a diff from the layout of the weights to row-major [num_output, C/group, R, S].
void launchPlainWeights(const ConvolutionProblem& problem, const float* dw, float* plain, cudaStream_t stream);
// Whether both layouts are identical.
bool hasPlainWeights(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
