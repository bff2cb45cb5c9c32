// BatchNorm with batch statistics (phase TRAIN): mean and biased variance per channel, Caffe's moving sums
// (caffe-semantics of batch_norm_layer.cpp: blob = fraction·blob + statistic, no (1 − fraction)).
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// [outer, channels, inner] of `type` (nhwc: outer = pixels, inner = 1; rows are paddedChannels apart) → mean and
// variance, [channels] each: Welford's updates and Chan's merges in float32, in an order that only the sizes decide.
// With u = 2⁻²⁴ and L = the values that one thread takes in turn + 16 merges (at least 16 values; count / 8192 where that
// is more), the variance is off by at most 4·L·u·sqrt(1 + mean²/variance) of itself, the mean by 4·L·u·(|mean| + deviation).
// `scratch`: batchStatisticsScratch() floats, so that many blocks can share a channel; null: one block does (correct,
// slower, and rounded differently).
void launchBatchStatistics(ElementType type, const void* input, int64_t outer, int64_t channels, int64_t paddedChannels,
                           int64_t inner, float* mean, float* variance, cudaStream_t stream, float* scratch = nullptr);

// How many floats of scratch memory launchBatchStatistics makes use of; 0 where one block a channel is enough.
int64_t batchStatisticsScratch(ElementType type, int64_t outer, int64_t channels, int64_t paddedChannels,
                               int64_t inner);

// Mean and variance from each channel's sum and sum of squares of `count` values; in place allowed. Of sums that are off by a
// share e of themselves the variance is off by about e·(1 + mean²/variance) of itself: what 16 bits' maps bear.
void launchStatisticsOfSums(const float* sums, const float* squares, int64_t count, int64_t channels, float* mean,
                            float* variance, cudaStream_t stream);

// Where a channel's values lie and how they are spread, and what comes behind: [channels] each.
struct BatchNormalisation {
  const float *mean = nullptr, *variance = nullptr;
  const float* factor = nullptr;                  // mean and variance are sums that it counts; null: they are not
  const float *gamma = nullptr, *beta = nullptr;  // null: 1, 0
  float eps = 0;
};

// From statistics to the affine step that normalises: center = mean, scale = gamma/sqrt(variance + eps), bias = beta.
void launchNormalisation(const BatchNormalisation& normalisation, int64_t channels, float* center, float* scale,
                         float* bias, cudaStream_t stream);

// Mean and variance as numbers, where a factor counts sums; null where not wanted.
void launchGlobalStatistics(const BatchNormalisation& normalisation, int64_t channels, float* mean, float* variance,
                            cudaStream_t stream);

// Where the mean is not what the variance is around: variance += (own − mean)², own being what it was around.
void launchVarianceAround(const float* mean, const float* own, float* variance, int64_t channels, cudaStream_t stream);

// blob0 = fraction·blob0 + mean; blob1 = fraction·blob1 + variance·m/(m − 1) (1 for m = 1); factor = fraction·factor + 1.
void launchMovingStatistics(const float* mean, const float* variance, float fraction, int64_t m, int64_t channels,
                            float* blob0, float* blob1, float* factor, cudaStream_t stream);

}  // namespace resnode::cuda
