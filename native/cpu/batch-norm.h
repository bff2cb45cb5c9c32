// Batch normalisation with scale, shift and ReLU over feature maps in the layouts that convolutions like.
#pragma once

#include "core/program.h"
#include "layout.h"

namespace resnode::cpu {

struct BatchNormParameters {
  float *mean, *variance, *factor;  // Caffe's running sums
  const float *scale, *bias;        // null: 1 and 0
};

// Bytes that both functions need beside their arguments.
size_t batchNormScratch(const ChannelView& view);

// y = relu(scale · (x − mean) / √(variance + eps) + bias). y may be x. savedMean and savedVariance [C]: null, or what it used.
void batchNorm(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters, const float* x, float* y,
               float* savedMean, float* savedVariance, void* scratch);

// dx may be dy; dx, dScale and dBias may be null.
void batchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters, const float* x, const float* mean,
                       const float* variance, const float* dy, float* dx, float* dScale, float* dBias, void* scratch);

}  // namespace resnode::cpu
