// Gradients of per-channel affine steps: Caffe's Scale and Bias layers, and what is left of a convolution's or an inner
// product's bias.
#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// dx = dy·scale, dScale = Σ dy·x, dBias = Σ dy; null where not wanted. `scale` null: 1. dy as it is behind the ReLU. In
// place on dy allowed. Maps of the shape's type. `scratch`: channelSumsScratch() floats, where a sum is wanted.
struct AffineGradient {
  BehindRelu behind;
  const void* x = nullptr;       // where dScale is wanted
  const float* scale = nullptr;  // [channels]
  void* dx = nullptr;
  float *dScale = nullptr, *dBias = nullptr;  // [channels]
};
void launchAffineGradient(const AffineGradient& gradient, const ChannelShape& shape, float* scratch,
                          cudaStream_t stream);

}  // namespace resnode::cuda
