#include "cuda/operations/elementwise/elementwise-gradient.h"

#include "cuda/kernels/channel-sums.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// Of dy, y and x.
template <class T>
struct UnaryGradient {
  static constexpr int kMaps = 3;
  using Channel = AnyChannel;
  T function;
  bool hasX;

  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel&) const {
    return diffOf(function, values[0], values[2], values[1], hasX);
  }
};

// Of dy and y.
struct Behind {
  static constexpr int kMaps = 2;
  using Channel = AnyChannel;
  BehindRelu behind;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel&) const {
    return behind.of(values[0], values[1]);
  }
};

// Of dy and x.
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

// The same.
struct SlopeTerms {
  static constexpr int kMaps = 2;
  using Channel = AnyChannel;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel&) const {
    return {values[1] > 0 ? 0.0f : values[0] * values[1], 0.0f};
  }
};

// One slope for all channels: their sums as a channel of their own.
struct Given {
  static constexpr int kMaps = 1;
  using Channel = AnyChannel;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel&) const { return {values[0], 0.0f}; }
};
ChannelShape columnOf(int64_t count) { return {count, {1, 1, 1}}; }

// A sum's: of dy and y.
struct SumGradient {
  static constexpr int kMaps = 2;
  using Channel = AnyChannel;
  BehindRelu behind;
  float coefficient;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel&) const {
    return behind.of(values[0], values[1]) * coefficient;
  }
};

// Of dy, y and the inputs (eltwise_layer.cpp). The diff of a product is the product of the others or, where it need not be
// stable, what was made over what was read. Of equal maxima the second of the first two takes the diff, a later input only
// where it is greater.
template <EltwiseOperation operation>
struct EltwiseGradient {
  static constexpr int kMaps = 2 + kMaxEltwiseInputs;
  using Channel = AnyChannel;
  BehindRelu behind;
  bool isQuotient;
  int count, which;

  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel&) const {
    float diff = behind.of(values[0], values[1]), own = 0, others = diff, most = values[2];
    int best = 0;
#pragma unroll
    for (int k = 0; k < kMaxEltwiseInputs; ++k) {  // known indices: values stay in registers
      if (k >= count) continue;
      const float value = values[2 + k];
      if (k == which) own = value;
      else others *= value;
      if (k > 0 && (k == 1 ? !(most > value) : value > most)) best = k, most = value;
    }
    if constexpr (operation == EltwiseOperation::max) return best == which ? diff : 0.0f;
    return isQuotient ? diff * (values[1] / own) : others;
  }
};

}  // namespace

void launchUnaryGradient(const Elementwise& function, const void* x, const void* y, const void* dy, void* dx,
                         const ChannelShape& shape, cudaStream_t stream) {
  std::visit(
      [&](const auto& each) {
        launchCombine(UnaryGradient<std::decay_t<decltype(each)>>{each, x != nullptr}, {{dy, y, x}}, dx, shape, stream);
      },
      function);
}

void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream) {
  launchCombine(Behind{behind}, {{behind.dy, behind.y}}, output, shape, stream);
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

void launchEltwiseGradient(const EltwiseInputs& eltwise, int which, const BehindRelu& behind, const void* quotientOf,
                           void* dx, const ChannelShape& shape, cudaStream_t stream) {
  if (eltwise.operation == EltwiseOperation::sum)
    return launchCombine(SumGradient{behind, eltwise.coefficients[which]}, {{behind.dy, behind.y}}, dx, shape, stream);
  if (eltwise.count > kMaxEltwiseInputs) {
    throw Error("device/unsupported", "The gradient of an Eltwise PROD or MAX of more than " +
                                          std::to_string(kMaxEltwiseInputs) + " inputs; it has " +
                                          std::to_string(eltwise.count));
  }
  Maps<2 + kMaxEltwiseInputs> maps{{behind.dy, behind.y ? behind.y : quotientOf}};
  for (int k = 0; k < eltwise.count; ++k) maps.at[2 + k] = eltwise.inputs[k];
  const bool isQuotient = quotientOf != nullptr;
  if (eltwise.operation == EltwiseOperation::prod)
    launchCombine(EltwiseGradient<EltwiseOperation::prod>{behind, isQuotient, eltwise.count, which}, maps, dx, shape,
                  stream);
  else
    launchCombine(EltwiseGradient<EltwiseOperation::max>{behind, isQuotient, eltwise.count, which}, maps, dx, shape,
                  stream);
}

}  // namespace resnode::cuda
