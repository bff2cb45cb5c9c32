#include "elementwise-gradient.h"

#include "../../native/core/error.h"
#include "channel-sums.h"
#include "each-element.h"

namespace resnode::cuda {
namespace {

template <UnaryKind kind>
struct UnaryGradient {
  Unary unary;
  const float *x, *y, *dy;

  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const {
    const float diff = dy[i];
    if constexpr (kind == UnaryKind::relu) return (x ? x[i] : y[i]) > 0 ? diff : diff * unary.a;
    else if constexpr (kind == UnaryKind::elu) {
      if (x) return x[i] > 0 ? diff : diff * unary.a * expf(x[i]);
      return y[i] > 0 ? diff : diff * (y[i] + unary.a);
    } else if constexpr (kind == UnaryKind::sigmoid) return diff * y[i] * (1.0f - y[i]);
    else if constexpr (kind == UnaryKind::tanh) return diff * (1.0f - y[i] * y[i]);
    else if constexpr (kind == UnaryKind::absval) return x[i] > 0 ? diff : x[i] < 0 ? -diff : 0.0f;
    else {
      // power_layer.cpp: a power of 1 reads nothing, one of 0 has no gradient.
      const float factor = unary.a * unary.b;
      if (factor == 0 || unary.a == 1) return diff * factor;
      return diff * factor * powf(unary.c + unary.b * x[i], unary.a - 1.0f);
    }
  }
};

struct Behind {
  BehindRelu behind;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const { return behind.at(i); }
};

struct PReluGradient {
  const float *x, *dy, *slope;
  bool channelShared;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t channel) const { return x[i] > 0 ? dy[i] : dy[i] * slope[channelShared ? 0 : channel]; }
};

struct SlopeTerms {
  const float *x, *dy;
  __device__ SumPair operator()(int64_t i, int64_t) const { return {x[i] > 0 ? 0.0f : dy[i] * x[i], 0.0f}; }
};

// One slope for all channels: their sums as a channel of their own.
struct Given {
  const float* sums;
  __device__ SumPair operator()(int64_t i, int64_t) const { return {sums[i], 0.0f}; }
};
ChannelShape columnOf(int64_t count) { return {count, {1, 1, 1}}; }

// eltwise_layer.cpp. The diff of a product is the product of the others or, where it need not be stable, what was made
// over what was read. Of equal maxima the second of the first two takes the diff, a later input only where it is greater.
template <EltwiseOperation operation>
struct EltwiseGradient {
  BehindRelu behind;
  const float* inputs[kMaxEltwiseInputs];
  const float* made;  // null: the product of the others
  int count, which;
  float coefficient;

  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const {
    float diff = behind.at(i);
    if constexpr (operation == EltwiseOperation::sum) return diff * coefficient;
    if constexpr (operation == EltwiseOperation::prod) {
      if (made) return diff * (made[i] / inputs[which][i]);
      for (int k = 0; k < count; ++k) diff *= k == which ? 1.0f : inputs[k][i];
      return diff;
    }
    int best = inputs[0][i] > inputs[1][i] ? 0 : 1;
    for (int k = 2; k < count; ++k) best = inputs[k][i] > inputs[best][i] ? k : best;
    return best == which ? diff : 0.0f;
  }
};

}  // namespace

void launchUnaryGradient(const Unary& unary, const float* x, const float* y, const float* dy, float* dx, int64_t elements,
                         const Channels& channels, cudaStream_t stream) {
  const auto as = [&](auto step) { launchEachElement(step, dx, elements, channels, stream); };
  switch (unary.kind) {
    case UnaryKind::relu: return as(UnaryGradient<UnaryKind::relu>{unary, x, y, dy});
    case UnaryKind::elu: return as(UnaryGradient<UnaryKind::elu>{unary, x, y, dy});
    case UnaryKind::sigmoid: return as(UnaryGradient<UnaryKind::sigmoid>{unary, x, y, dy});
    case UnaryKind::tanh: return as(UnaryGradient<UnaryKind::tanh>{unary, x, y, dy});
    case UnaryKind::absval: return as(UnaryGradient<UnaryKind::absval>{unary, x, y, dy});
    case UnaryKind::power: return as(UnaryGradient<UnaryKind::power>{unary, x, y, dy});
  }
}

void launchBehindRelu(const BehindRelu& behind, float* output, int64_t elements, const Channels& channels, cudaStream_t stream) {
  launchEachElement(Behind{behind}, output, elements, channels, stream);
}

int64_t preluGradientScratch(const ChannelShape& shape, bool channelShared) {
  const int64_t channels = shape.channels.channels;
  return channelSumsScratch(shape) + (channelShared ? channels + channelSumsScratch(columnOf(channels)) : 0);
}

void launchPReluGradient(const float* x, const float* dy, const float* slope, bool channelShared, float* dx, float* dSlope,
                         const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  if (dSlope && !channelShared) launchChannelSums(SlopeTerms{x, dy}, shape, dSlope, nullptr, scratch, stream);
  if (dSlope && channelShared) {
    const int64_t channels = shape.channels.channels;
    float* sums = scratch + channelSumsScratch(shape);
    launchChannelSums(SlopeTerms{x, dy}, shape, sums, nullptr, scratch, stream);
    launchChannelSums(Given{sums}, columnOf(channels), dSlope, nullptr, sums + channels, stream);
  }
  if (dx) launchEachElement(PReluGradient{x, dy, slope, channelShared}, dx, shape.elements(), shape.channels, stream);
}

void launchEltwiseGradient(const EltwiseInputs& eltwise, int which, const BehindRelu& behind, const float* quotientOf, float* dx, int64_t elements,
                           const Channels& channels, cudaStream_t stream) {
  const auto as = [&](auto step) {
    step.behind = behind;
    step.made = quotientOf;
    step.count = eltwise.count;
    step.which = which;
    step.coefficient = 1;
    if (eltwise.operation == EltwiseOperation::sum) step.coefficient = eltwise.coefficients[which];
    else for (int k = 0; k < eltwise.count; ++k) step.inputs[k] = static_cast<const float*>(eltwise.inputs[k]);
    launchEachElement(step, dx, elements, channels, stream);
  };
  if (eltwise.operation == EltwiseOperation::sum) return as(EltwiseGradient<EltwiseOperation::sum>{});
  if (eltwise.count > kMaxEltwiseInputs) {
    throw Error("device/unsupported", "The gradient of an Eltwise PROD or MAX of more than " + std::to_string(kMaxEltwiseInputs) +
                                          " inputs; it has " + std::to_string(eltwise.count));
  }
  if (eltwise.operation == EltwiseOperation::prod) as(EltwiseGradient<EltwiseOperation::prod>{});
  else as(EltwiseGradient<EltwiseOperation::max>{});
}

}  // namespace resnode::cuda
