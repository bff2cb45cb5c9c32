#include "batch-norm-gradient.h"

#include "channel-sums.h"

namespace resnode::cuda {
namespace {

// What a channel's elements share: [channels] each, one after the other in scratch memory.
struct PerChannel {
  float *mean, *inverse, *sum, *product;
};

struct Normalised {
  const float *mean, *inverse;  // null: x is not read
  struct Channel {
    float mean, inverse;
    RESNODE_HOST_DEVICE float of(float x) const { return (x - mean) * inverse; }
  };
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return mean ? Channel{mean[c], inverse[c]} : Channel{}; }
};

// Of dy, y and x.
struct Terms {
  static constexpr int kMaps = 3;
  using Channel = Normalised::Channel;
  BehindRelu behind;
  Normalised normalised;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return normalised.channel(c); }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel& own) const {
    const float dy = behind.of(values[0], values[1]);
    return {dy, dy * own.of(values[2])};
  }
};

// The same.
struct Step {
  static constexpr int kMaps = 3;
  struct Channel {
    Normalised::Channel normalised;
    float sum, product, gamma, inverse;
  };
  BehindRelu behind;
  Normalised normalised;
  const float *sum, *product;  // null: over global statistics
  const float *gamma, *inverse;
  float inverseCount;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const {
    return {normalised.channel(c), sum ? sum[c] : 0.0f, sum ? product[c] : 0.0f, gamma ? gamma[c] : 1.0f, inverse[c]};
  }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel& own) const {
    float diff = behind.of(values[0], values[1]);
    if (sum) diff -= (own.sum + own.normalised.of(values[2]) * own.product) * inverseCount;
    return diff * own.gamma * own.inverse;
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

int64_t batchNormGradientScratch(const ChannelShape& shape) { return 4 * shape.channels.channels + channelSumsScratch(shape); }

void launchBatchNormGradient(const BatchNormGradient& gradient, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  const int64_t channels = shape.channels.channels;
  if (channels == 0) return;
  // Sums that are asked for lie where they are asked for.
  const PerChannel each{scratch, scratch + channels, gradient.dBias ? gradient.dBias : scratch + 2 * channels,
                        gradient.dScale ? gradient.dScale : scratch + 3 * channels};
  launch(perChannel, gridFor(channels), stream, gradient.mean, gradient.variance, gradient.factor, gradient.eps, channels, each.mean, each.inverse);
  const bool batch = !gradient.factor;
  const bool reads = gradient.dScale || (gradient.dx && batch);
  const Normalised normalised{reads ? each.mean : nullptr, each.inverse};
  const BehindRelu& behind = gradient.behind;
  const Maps<3> maps{{behind.dy, behind.y, reads ? gradient.x : nullptr}};
  if (reads || gradient.dBias) launchChannelSums(Terms{behind, normalised}, maps, shape, each.sum, each.product, scratch + 4 * channels, stream);
  if (!gradient.dx) return;
  const float inverseCount = 1.0f / static_cast<float>(shape.outer * shape.channels.inner);
  const Step step{behind, normalised, batch ? each.sum : nullptr, each.product, gradient.gamma, each.inverse, inverseCount};
  launchCombine(step, {{behind.dy, behind.y, batch ? maps.at[2] : nullptr}}, gradient.dx, shape, stream);
}

}  // namespace resnode::cuda
