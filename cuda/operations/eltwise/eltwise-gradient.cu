#include "cuda/operations/eltwise/eltwise-gradient.h"

#include "cuda/kernels/combine.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// For a sum. Maps: dy and y.
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

// Maps: dy, y and the inputs (eltwise_layer.cpp). The diff of a product is the product of the other inputs or, if
// stable_prod_grad is off, the result divided by the input. Of equal maxima, the second of the first two inputs gets
// the diff; a later input gets it only if it is greater.
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
    for (int k = 0; k < kMaxEltwiseInputs; ++k) {  // constant indices keep values in registers
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
