// Batch normalisation with scale, shift and ReLU over feature maps in the layouts of convolutions.
#pragma once

#include "native/core/communicator.h"
#include "native/core/program.h"
#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

struct BatchNormParameters {
  float *mean, *variance, *factor;  // Caffe's moving sums
  const float *scale, *bias;        // null: 1 and 0
};

// Bytes of scratch memory for both functions.
size_t batchNormScratch(const ChannelView& view);

// y = relu(scale · (x − mean) / √(variance + eps) + bias + residual). residual may be null; y may be either. savedMean
// and savedVariance [C]: receive the statistics that it used, or null. Batch statistics cover the batches of all
// processes of `communicator`, if it is not null. `pool`: as in parallel.h.
void batchNorm(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
               const float* x, const float* residual, float* y, float* savedMean, float* savedVariance, void* scratch,
               Communicator* communicator, ThreadPool* pool);

// One value per channel; the next image's are `step` further (0: the same). Null: `otherwise` for every channel.
struct ChannelValues {
  const float* values;
  int64_t step;
  double otherwise;
};

// y = relu(scale · x + bias) per channel; a slope of 1 means no ReLU. y may be x.
void scaleChannels(ThreadPool* pool, const ChannelView& view, const ChannelValues& scale, const ChannelValues& bias,
                   float slope, const float* x, float* y);

// dx may be dy; dx, dScale and dBias may be null. mean and variance: those that the forward pass saved, or null to use
// the parameters' global statistics.
void batchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                       const float* x, const float* mean, const float* variance, const float* dy, float* dx,
                       float* dScale, float* dBias, void* scratch, Communicator* communicator, ThreadPool* pool);

// The same for global statistics if only dx is requested. The ReLU's sign comes from y, which may be null if there is
// no ReLU.
void frozenBatchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                             const float* y, const float* dy, float* dx, void* scratch, ThreadPool* pool);

}  // namespace resnode::cpu
