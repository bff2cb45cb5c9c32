// The gradients of a convolution by its input and its weights, on nhwc of the problem's type, as implicit matrix products on
// the ordinary units, summed in float32: any window, stride, dilation and group. The gradient by the bias is a sum over channels (channel-sums.h).
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// dx[n, h, w, c] = Σ over k, r, s of dy · weights: every product of the forward pass, seen from its input. `weights` as
// the forward pass reads them. Padding of dx becomes zero. `scratch`: dataGradientScratch() floats.
void launchDataGradient(const ConvolutionProblem& problem, const void* dy, const void* weights, void* dx,
                        float* scratch, cudaStream_t stream);
int64_t dataGradientScratch(const ConvolutionProblem& problem);

// dw[k, r, s, c] = Σ over all output pixels of dy · x: as the weights lie, in float32, with zeros in its padding. `scratch`:
// weightGradientScratch() floats.
void launchWeightGradient(const ConvolutionProblem& problem, const void* x, const void* dy, float* dw, float* scratch,
                          cudaStream_t stream);
int64_t weightGradientScratch(const ConvolutionProblem& problem);

// A diff as the weights lie → plain, [num_output, C/group, R, S].
void launchPlainWeights(const ConvolutionProblem& problem, const float* dw, float* plain, cudaStream_t stream);
// Whether both are the same numbers in the same order.
bool hasPlainWeights(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
