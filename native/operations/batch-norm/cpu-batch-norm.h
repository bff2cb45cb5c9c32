// Batch normalisation with scale, shift and ReLU over feature maps in the layouts that convolutions like.
#pragma once

#include "native/core/communicator.h"
#include "native/core/program.h"
#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

struct BatchNormParameters {
  float *mean, *variance, *factor;  // Caffe's running sums
  const float *scale, *bias;        // null: 1 and 0
};

// Bytes that both functions need beside their arguments.
size_t batchNormScratch(const ChannelView& view);

// Batch statistics are over the batches of all processes of `communicator`, where that is not null.

// `pool`: as parallel.h says.
// y = relu(scale · (x − mean) / √(variance + eps) + bias + residual). residual may be null; y may be either. savedMean and savedVariance [C]: null, or what it used.
void batchNorm(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
               const float* x, const float* residual, float* y, float* savedMean, float* savedVariance, void* scratch,
               Communicator* communicator, ThreadPool* pool);

// A value for each channel, those of the next image `step` further on (0: the same ones). Null: `otherwise` for each.
struct ChannelValues {
  const float* values;
  int64_t step;
  double otherwise;
};

// y = relu(scale · x + bias) of each channel; a slope of 1 is no ReLU. y may be x.
void scaleChannels(ThreadPool* pool, const ChannelView& view, const ChannelValues& scale, const ChannelValues& bias,
                   float slope, const float* x, float* y);

// dx may be dy; dx, dScale and dBias may be null. mean and variance: what the forward pass saved; null with global
// statistics, which are the parameters'.
void batchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                       const float* x, const float* mean, const float* variance, const float* dy, float* dx,
                       float* dScale, float* dBias, void* scratch, Communicator* communicator, ThreadPool* pool);

// The same with global statistics where dx alone is asked for: the ReLU is then told from y, which may be null without one.
void frozenBatchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                             const float* y, const float* dy, float* dx, void* scratch, ThreadPool* pool);

}  // namespace resnode::cpu
