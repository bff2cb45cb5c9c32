// Gradients of per-channel affine steps: Caffe's Scale and Bias layers, and the bias of a convolution or an inner
// product.
#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// dx = dy·scale, dScale = Σ dy·x, dBias = Σ dy; null: not requested. Null `scale`: 1. dy has the ReLU's derivative
// applied. May work in place on dy. Maps have the shape's type. `scratch`: channelSumsScratch() floats, if a sum is
// requested.
struct AffineGradient {
  BehindRelu behind;
  const void* x = nullptr;       // if dScale is requested
  const float* scale = nullptr;  // [channels]
  void* dx = nullptr;
  float *dScale = nullptr, *dBias = nullptr;  // [channels]
};
void launchAffineGradient(const AffineGradient& gradient, const ChannelShape& shape, float* scratch,
                          cudaStream_t stream);

}  // namespace resnode::cuda
