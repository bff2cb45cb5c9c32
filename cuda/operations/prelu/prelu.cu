#include "cuda/operations/prelu/prelu.h"

#include "cuda/kernels/channel-sums.h"
#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

struct PReluStep {
  const float* slope;
  bool channelShared;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t channel) const {
    return x > 0 ? x : x * slope[channelShared ? 0 : channel];
  }
};

// Maps: dy and x.
struct PReluGradient {
  static constexpr int kMaps = 2;
  struct Channel {
    float slope;
  };
  const float* slope;
  bool channelShared;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return {slope[channelShared ? 0 : c]}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel& own) const {
    return values[1] > 0 ? values[0] : values[0] * own.slope;
  }
};

// Maps: dy and x.
struct SlopeTerms {
  static constexpr int kMaps = 2;
  using Channel = AnyChannel;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel&) const {
    return {values[1] > 0 ? 0.0f : values[0] * values[1], 0.0f};
  }
};

// One slope for all channels: sums the channels' sums as if they were a channel.
struct Given {
  static constexpr int kMaps = 1;
  using Channel = AnyChannel;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel&) const { return {values[0], 0.0f}; }
};
ChannelShape columnOf(int64_t count) { return {count, {1, 1, 1}}; }

}  // namespace

void launchPRelu(ElementType type, const void* input, const float* slope, bool channelShared, void* output,
                 int64_t outer, int64_t channels, int64_t paddedChannels, int64_t inner, cudaStream_t stream) {
  dispatch(type, [&](auto element) {
    launchMap<decltype(element)>(PReluStep{slope, channelShared}, input, output, outer * paddedChannels * inner,
                                 {channels, paddedChannels, inner}, stream);
  });
}

int64_t preluGradientScratch(const ChannelShape& shape, bool channelShared) {
  const int64_t channels = shape.channels.channels;
  return channelSumsScratch(shape) + (channelShared ? channels + channelSumsScratch(columnOf(channels)) : 0);
}

void launchPReluGradient(const void* x, const void* dy, const float* slope, bool channelShared, void* dx, float* dSlope,
                         const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  const Maps<2> maps{{dy, x}};
  if (dSlope && !channelShared) launchChannelSums(SlopeTerms{}, maps, shape, dSlope, nullptr, scratch, stream);
  if (dSlope && channelShared) {
    const int64_t channels = shape.channels.channels;
    float* sums = scratch + channelSumsScratch(shape);
    launchChannelSums(SlopeTerms{}, maps, shape, sums, nullptr, scratch, stream);
    launchChannelSums(Given{}, {{sums}}, columnOf(channels), dSlope, nullptr, sums + channels, stream);
  }
  if (dx) launchCombine(PReluGradient{slope, channelShared}, maps, dx, shape, stream);
}

}  // namespace resnode::cuda
