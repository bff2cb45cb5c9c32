// The gradient of BatchNorm with the Scale and the ReLU behind it (batch_norm_layer.cpp).
#pragma once

#include <functional>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// With x̂ the normalised value and g = dy · gamma: dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + eps) over batch
// statistics, g / √(variance + eps) over global ones; dScale = Σ dy · x̂, dBias = Σ dy. Null where not wanted. In place on
// dy allowed. Maps of the shape's type.
struct BatchNormGradient {
  BehindRelu behind;
  const void* x = nullptr;                           // not read for dx alone over global statistics
  const float *mean = nullptr, *variance = nullptr;  // [channels]: the batch's, or the sums that `factor` counts
  const float* factor = nullptr;                     // of global statistics; null: the batch's
  const float *gamma = nullptr, *beta = nullptr;     // [channels], null: 1, 0
  float eps = 0;
  const float *sum = nullptr, *product = nullptr;  // Σ dy and Σ dy · x̂ where they are known, [channels]
  void* dx = nullptr;
  float *dScale = nullptr, *dBias = nullptr;  // [channels]
  // Statistics over several processes' batches: Σ dy and Σ dy · x̂, [channels] each, become their mean over all of them in
  // `shared`, [2, channels]; dScale and dBias stay this process's. Null: it is alone.
  std::function<void(const float* sum, const float* product, float* shared)> share;
};

// `scratch`: batchNormGradientScratch() floats.
void launchBatchNormGradient(const BatchNormGradient& gradient, const ChannelShape& shape, float* scratch,
                             cudaStream_t stream);
int64_t batchNormGradientScratch(const ChannelShape& shape);

// 1/√(variance + eps), [channels], as it is computed there.
void launchInverseDeviations(const float* variance, float eps, int64_t channels, float* inverse, cudaStream_t stream);

}  // namespace resnode::cuda
