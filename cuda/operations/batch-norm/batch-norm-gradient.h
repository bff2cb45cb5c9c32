// The gradient of BatchNorm with the Scale and ReLU that follow it (batch_norm_layer.cpp).
#pragma once

#include <functional>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// With x̂ the normalised value and g = dy · gamma: dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + eps) over
// batch statistics, g / √(variance + eps) over global ones; dScale = Σ dy · x̂, dBias = Σ dy. Null: not requested. May
// work in place on dy. Maps have the shape's type.
struct BatchNormGradient {
  BehindRelu behind;
  const void* x = nullptr;                           // not read if only dx over global statistics is requested
  const float *mean = nullptr, *variance = nullptr;  // [channels]: the batch's, or sums that `factor` divides
  const float* factor = nullptr;                     // for global statistics; null: the batch's
  const float *gamma = nullptr, *beta = nullptr;     // [channels], null: 1, 0
  float eps = 0;
  const float *sum = nullptr, *product = nullptr;  // Σ dy and Σ dy · x̂, [channels], if they are known
  void* dx = nullptr;
  float *dScale = nullptr, *dBias = nullptr;  // [channels]
  // For statistics over the batches of several processes: averages Σ dy and Σ dy · x̂, [channels] each, over all of
  // them into `shared`, [2, channels]. dScale and dBias stay those of this process. Null: there is only one process.
  std::function<void(const float* sum, const float* product, float* shared)> share;
};

// `scratch`: batchNormGradientScratch() floats.
void launchBatchNormGradient(const BatchNormGradient& gradient, const ChannelShape& shape, float* scratch,
                             cudaStream_t stream);
int64_t batchNormGradientScratch(const ChannelShape& shape);

// 1/√(variance + eps), [channels], computed as in the gradient.
void launchInverseDeviations(const float* variance, float eps, int64_t channels, float* inverse, cudaStream_t stream);

}  // namespace resnode::cuda
