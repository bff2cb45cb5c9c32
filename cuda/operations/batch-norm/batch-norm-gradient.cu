#include "cuda/operations/batch-norm/batch-norm-gradient.h"

#include <type_traits>

#include "cuda/kernels/channel-sums.h"

namespace resnode::cuda {
namespace {

// What the elements of a channel share: arrays of [channels], one after the other in scratch memory.
struct PerChannel {
  float *mean, *inverse, *sum, *product;
};

// x̂, from the result of perChannel().
struct Normalised {
  const float *mean, *inverse;
  struct Channel {
    float mean, inverse;
    RESNODE_HOST_DEVICE float of(float x) const { return (x - mean) * inverse; }
  };
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return {mean[c], inverse[c]}; }
};

// dy with the ReLU's derivative applied, whose sign comes from y.
struct SeenFromY {
  using Channel = AnyChannel;
  BehindRelu behind;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float of(const float (&values)[3], const Channel&) const {
    return behind.of(values[0], values[1]);
  }
};

// The same with the sign recomputed from x, as in the forward pass. x is read anyway, so this saves reading y. In 16
// bits, where y has been rounded, it loses nothing.
struct SeenFromX {
  struct Channel {
    float mean, scale, bias;
  };
  float negativeSlope;
  Normalised normalised;
  const float *gamma, *beta;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const {
    return {normalised.mean[c], (gamma ? gamma[c] : 1.0f) * normalised.inverse[c], beta ? beta[c] : 0.0f};
  }
  RESNODE_HOST_DEVICE float of(const float (&values)[3], const Channel& own) const {
    return (values[2] - own.mean) * own.scale + own.bias > 0 ? values[0] : values[0] * negativeSlope;
  }
};

// Maps: dy, y and x.
template <class Relu>
struct Terms {
  static constexpr int kMaps = 3;
  struct Channel {
    typename Relu::Channel relu;
    Normalised::Channel normalised;
  };
  Relu relu;
  Normalised normalised;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return {relu.channel(c), normalised.channel(c)}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel& own) const {
    const float dy = relu.of(values, own.relu);
    return {dy, dy * own.normalised.of(values[2])};
  }
};

// Maps: dy, y and x.
template <class Relu>
struct Step {
  static constexpr int kMaps = 3;
  struct Channel {
    typename Relu::Channel relu;
    Normalised::Channel normalised;
    float sum, product, gamma;
  };
  Relu relu;
  Normalised normalised;
  const float *sum, *product;  // null: global statistics
  const float* gamma;
  float inverseCount;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const {
    return {relu.channel(c), normalised.channel(c), sum ? sum[c] : 0.0f, sum ? product[c] : 0.0f,
            gamma ? gamma[c] : 1.0f};
  }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel& own) const {
    float diff = relu.of(values, own.relu);
    if (sum) diff -= (own.sum + own.normalised.of(values[2]) * own.product) * inverseCount;
    return diff * own.gamma * own.normalised.inverse;
  }
};

__global__ void inverseDeviations(const float* variance, float eps, int64_t channels, float* inverse) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c < channels) inverse[c] = 1.0f / sqrtf(variance[c] + eps);
}

__global__ void perChannel(const float* mean, const float* variance, const float* factor, float eps, int64_t channels,
                           float* means, float* inverses) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const float unfactor = !factor ? 1.0f : *factor == 0 ? 0.0f : 1.0f / *factor;
  means[c] = mean[c] * unfactor;
  inverses[c] = 1.0f / sqrtf(variance[c] * unfactor + eps);
}

}  // namespace

int64_t batchNormGradientScratch(const ChannelShape& shape) {
  return 6 * shape.channels.channels + channelSumsScratch(shape);
}

void launchInverseDeviations(const float* variance, float eps, int64_t channels, float* inverse, cudaStream_t stream) {
  if (channels > 0) launch(inverseDeviations, gridFor(channels), stream, variance, eps, channels, inverse);
}

void launchBatchNormGradient(const BatchNormGradient& gradient, const ChannelShape& shape, float* scratch,
                             cudaStream_t stream) {
  const int64_t channels = shape.channels.channels;
  if (channels == 0) return;
  // Sums that are requested are written where they are requested.
  const PerChannel each{scratch, scratch + channels, gradient.dBias ? gradient.dBias : scratch + 2 * channels,
                        gradient.dScale ? gradient.dScale : scratch + 3 * channels};
  launch(perChannel, gridFor(channels), stream, gradient.mean, gradient.variance, gradient.factor, gradient.eps,
         channels, each.mean, each.inverse);
  const bool batch = !gradient.factor;
  const bool reads = gradient.dScale || (gradient.dx && batch);
  const Normalised normalised{each.mean, each.inverse};
  const float inverseCount = 1.0f / static_cast<float>(shape.outer * shape.channels.inner);
  float* shared = scratch + 4 * channels;
  const bool areKnown = gradient.sum && gradient.product;
  const float *ownSum = areKnown ? gradient.sum : each.sum, *ownProduct = areKnown ? gradient.product : each.product;
  const float *sum = gradient.share ? shared : ownSum, *product = gradient.share ? shared + channels : ownProduct;
  const auto run = [&](const auto& relu, const void* y, const void* x) {
    using Relu = std::decay_t<decltype(relu)>;
    const Maps<3> maps{{gradient.behind.dy, y, x}};
    if (!areKnown && (reads || gradient.dBias))
      launchChannelSums(Terms<Relu>{relu, normalised}, maps, shape, each.sum, each.product, scratch + 6 * channels,
                        stream);
    if (!gradient.dx) return;
    if (gradient.share) gradient.share(ownSum, ownProduct, shared);
    launchCombine(Step<Relu>{relu, normalised, batch ? sum : nullptr, product, gradient.gamma, inverseCount}, maps,
                  gradient.dx, shape, stream, reads || gradient.dBias ? RowOrder::lastFirst : RowOrder::firstFirst);
  };
  const void* x = reads ? gradient.x : nullptr;
  if (gradient.behind.y && batch && x && shape.type != ElementType::float32) {
    run(SeenFromX{gradient.behind.negativeSlope, normalised, gradient.gamma, gradient.beta}, nullptr, x);
  } else {
    run(SeenFromY{gradient.behind}, gradient.behind.y, x);
  }
}

}  // namespace resnode::cuda
