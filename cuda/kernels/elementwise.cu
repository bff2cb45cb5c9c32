#include "elementwise.h"

#include "vector.h"

namespace resnode::cuda {
namespace {

template <UnaryKind kind>
struct UnaryStep {
  Unary unary;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t) const {
    if constexpr (kind == UnaryKind::relu) return leaky(x, unary.a);
    else if constexpr (kind == UnaryKind::elu) return x > 0 ? x : unary.a * expm1f(x);
    else if constexpr (kind == UnaryKind::sigmoid) return 1.0f / (1.0f + expf(-x));
    else if constexpr (kind == UnaryKind::tanh) return tanhf(x);
    else if constexpr (kind == UnaryKind::absval) return fabsf(x);
    else {
      // power_layer.cpp: power 0 is 1 whatever the base, and power 1 skips pow.
      const float base = unary.c + unary.b * x;
      return unary.a == 1 ? base : unary.a == 0 ? 1.0f : powf(base, unary.a);
    }
  }
};

struct PReluStep {
  const float* slope;
  bool channelShared;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t channel) const { return x > 0 ? x : x * slope[channelShared ? 0 : channel]; }
};

}  // namespace

void launchUnary(const Unary& unary, ElementType type, const void* input, void* output, int64_t elements, int64_t channels,
                 int64_t paddedChannels, cudaStream_t stream) {
  const Channels all{channels, paddedChannels, 1};
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    const auto as = [&](auto step) { launchMap<T>(step, input, output, elements, all, stream); };
    switch (unary.kind) {
      case UnaryKind::relu: return as(UnaryStep<UnaryKind::relu>{unary});
      case UnaryKind::elu: return as(UnaryStep<UnaryKind::elu>{unary});
      case UnaryKind::sigmoid: return as(UnaryStep<UnaryKind::sigmoid>{unary});
      case UnaryKind::tanh: return as(UnaryStep<UnaryKind::tanh>{unary});
      case UnaryKind::absval: return as(UnaryStep<UnaryKind::absval>{unary});
      case UnaryKind::power: return as(UnaryStep<UnaryKind::power>{unary});
    }
  });
}

void launchPRelu(ElementType type, const void* input, const float* slope, bool channelShared, void* output, int64_t outer,
                 int64_t channels, int64_t paddedChannels, int64_t inner, cudaStream_t stream) {
  dispatch(type, [&](auto element) {
    launchMap<decltype(element)>(PReluStep{slope, channelShared}, input, output, outer * paddedChannels * inner,
                                 {channels, paddedChannels, inner}, stream);
  });
}

}  // namespace resnode::cuda
