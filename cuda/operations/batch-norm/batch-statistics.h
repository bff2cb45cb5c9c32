// BatchNorm with batch statistics (phase TRAIN): mean and biased variance per channel, and Caffe's moving sums
// (batch_norm_layer.cpp: blob = fraction·blob + statistic, without a factor 1 − fraction).
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// [outer, channels, inner] of `type` (nhwc: outer = pixels, inner = 1; rows are paddedChannels apart) → mean and
// variance, [channels] each. Welford's updates and Chan's merges in float32, in an order that depends on the sizes
// only. Let u = 2⁻²⁴ and L = the values that one thread reads in sequence + 16 merges (at least 16 values, or count /
// 8192 if that is more). Then the relative error of the variance is at most 4·L·u·sqrt(1 + mean²/variance), and the
// error of the mean at most 4·L·u·(|mean| + deviation). `scratch`: batchStatisticsScratch() floats, which let many
// blocks share a channel. If null, one block does: correct, but slower and rounded differently.
void launchBatchStatistics(ElementType type, const void* input, int64_t outer, int64_t channels, int64_t paddedChannels,
                           int64_t inner, float* mean, float* variance, cudaStream_t stream, float* scratch = nullptr);

// Floats of scratch memory for launchBatchStatistics; 0 if one block per channel is enough.
int64_t batchStatisticsScratch(ElementType type, int64_t outer, int64_t channels, int64_t paddedChannels,
                               int64_t inner);

// Mean and variance from each channel's sum and sum of squares over `count` values; may work in place. If the sums have
// a relative error e, that of the variance is about e·(1 + mean²/variance), which is acceptable for 16-bit maps.
void launchStatisticsOfSums(const float* sums, const float* squares, int64_t count, int64_t channels, float* mean,
                            float* variance, cudaStream_t stream);

// Mean and variance of the channels, and the affine step that follows: [channels] each.
struct BatchNormalisation {
  const float *mean = nullptr, *variance = nullptr;
  const float* factor = nullptr;                  // mean and variance are sums that this divides; null: they are not
  const float *gamma = nullptr, *beta = nullptr;  // null: 1, 0
  float eps = 0;
};

// Converts statistics to the affine step that normalises: center = mean, scale = gamma/sqrt(variance + eps), bias =
// beta.
void launchNormalisation(const BatchNormalisation& normalisation, int64_t channels, float* center, float* scale,
                         float* bias, cudaStream_t stream);

// Mean and variance themselves, if `factor` divides sums; null: not requested.
void launchGlobalStatistics(const BatchNormalisation& normalisation, int64_t channels, float* mean, float* variance,
                            cudaStream_t stream);

// The variance around another mean: variance += (own − mean)², where own is the mean around which it was computed.
void launchVarianceAround(const float* mean, const float* own, float* variance, int64_t channels, cudaStream_t stream);

// blob0 = fraction·blob0 + mean; blob1 = fraction·blob1 + variance·m/(m − 1) (1 for m = 1); factor = fraction·factor +
// 1.
void launchMovingStatistics(const float* mean, const float* variance, float fraction, int64_t m, int64_t channels,
                            float* blob0, float* blob1, float* factor, cudaStream_t stream);

}  // namespace resnode::cuda
