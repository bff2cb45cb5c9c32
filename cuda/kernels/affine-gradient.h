// Gradients of per-channel affine steps in float32: Caffe's Scale and Bias layers, and what is left of a convolution's or
// an inner product's bias.
#pragma once

#include "channels.h"

namespace resnode::cuda {

// dx = dy·scale, dScale = Σ dy·x, dBias = Σ dy; null where not wanted. `scale` null: 1. dy as it is behind the ReLU. In
// place on dy allowed. `scratch`: channelSumsScratch() floats, where a sum is wanted.
struct AffineGradient {
  BehindRelu behind;
  const float* x = nullptr;      // where dScale is wanted
  const float* scale = nullptr;  // [channels]
  float *dx = nullptr, *dScale = nullptr, *dBias = nullptr;
};
void launchAffineGradient(const AffineGradient& gradient, const ChannelShape& shape, float* scratch, cudaStream_t stream);

}  // namespace resnode::cuda
