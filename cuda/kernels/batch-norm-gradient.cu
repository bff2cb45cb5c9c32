#include "batch-norm-gradient.h"

#include "channel-sums.h"
#include "each-element.h"

namespace resnode::cuda {
namespace {

// What a channel's elements share: [channels] each, one after the other in scratch memory.
struct PerChannel {
  float *mean, *inverse, *sum, *product;
};

struct Normalised {
  const float* x;
  const float *mean, *inverse;
  RESNODE_HOST_DEVICE float at(int64_t i, int64_t channel) const { return x ? (x[i] - mean[channel]) * inverse[channel] : 0.0f; }
};

struct Terms {
  BehindRelu behind;
  Normalised normalised;
  __device__ SumPair operator()(int64_t i, int64_t channel) const {
    const float dy = behind.at(i);
    return {dy, dy * normalised.at(i, channel)};
  }
};

struct Step {
  BehindRelu behind;
  Normalised normalised;
  const float *sum, *product;  // null: over global statistics
  const float* gamma;
  float inverseCount;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t channel) const {
    float diff = behind.at(i);
    if (sum) diff -= (sum[channel] + normalised.at(i, channel) * product[channel]) * inverseCount;
    return diff * (gamma ? gamma[channel] : 1.0f) * normalised.inverse[channel];
  }
};

__global__ void perChannel(const float* mean, const float* variance, const float* factor, float eps, int64_t channels, float* means, float* inverses) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const float unfactor = !factor ? 1.0f : *factor == 0 ? 0.0f : 1.0f / *factor;
  means[c] = mean[c] * unfactor;
  inverses[c] = 1.0f / sqrtf(variance[c] * unfactor + eps);
}

}  // namespace

int64_t batchNormGradientScratch(const ChannelShape& shape) { return 6 * shape.channels.channels + channelSumsScratch(shape); }

void launchBatchNormGradient(const BatchNormGradient& gradient, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  const int64_t channels = shape.channels.channels;
  if (channels == 0) return;
  // Sums that are asked for lie where they are asked for.
  const PerChannel each{scratch, scratch + channels, gradient.dBias ? gradient.dBias : scratch + 2 * channels,
                        gradient.dScale ? gradient.dScale : scratch + 3 * channels};
  launch(perChannel, gridFor(channels), stream, gradient.mean, gradient.variance, gradient.factor, gradient.eps, channels, each.mean, each.inverse);
  const bool batch = !gradient.factor;
  const bool reads = gradient.dScale || (gradient.dx && batch);
  const Normalised normalised{reads ? gradient.x : nullptr, each.mean, each.inverse};
  if (reads || gradient.dBias) launchChannelSums(Terms{gradient.behind, normalised}, shape, each.sum, each.product, scratch + 6 * channels, stream);
  if (!gradient.dx) return;
  float* shared = scratch + 4 * channels;
  if (gradient.share) gradient.share(each.sum, each.product, shared);
  const float inverseCount = 1.0f / static_cast<float>(shape.outer * shape.channels.inner);
  const float *sum = gradient.share ? shared : each.sum, *product = gradient.share ? shared + channels : each.product;
  const Step step{gradient.behind, normalised, batch ? sum : nullptr, product, gradient.gamma, inverseCount};
  launchEachElement(step, gradient.dx, shape.elements(), shape.channels, stream);
}

}  // namespace resnode::cuda
