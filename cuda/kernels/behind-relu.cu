#include "cuda/kernels/behind-relu.h"

#include <algorithm>

#include "cuda/kernels/combine.h"

namespace resnode::cuda {
namespace {

// Of y and the diffs.
template <int kDiffs>
struct SumOfDiffs {
  static constexpr int kMaps = 1 + kDiffs;
  using Channel = AnyChannel;
  bool hasRelu;
  float negativeSlope;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel&) const {
    float sum = values[1];
#pragma unroll
    for (int k = 2; k < kMaps; ++k) sum += values[k];
    return !hasRelu || values[0] > 0 ? sum : sum * negativeSlope;
  }
};

template <int kDiffs>
void launchSum(const void* y, const std::vector<const void*>& diffs, float negativeSlope, void* output,
               const ChannelShape& shape, cudaStream_t stream) {
  Maps<1 + kDiffs> maps{{y}};
  std::copy_n(diffs.begin(), kDiffs, maps.at + 1);
  launchCombine(SumOfDiffs<kDiffs>{y != nullptr, negativeSlope}, maps, output, shape, stream);
}

}  // namespace

void launchSumBehindRelu(const void* y, const std::vector<const void*>& diffs, float negativeSlope, void* output,
                         const ChannelShape& shape, cudaStream_t stream) {
  switch (diffs.size()) {
    case 1: return launchSum<1>(y, diffs, negativeSlope, output, shape, stream);
    case 2: return launchSum<2>(y, diffs, negativeSlope, output, shape, stream);
    case 3: return launchSum<3>(y, diffs, negativeSlope, output, shape, stream);
    default: return launchSum<kMostDiffs>(y, diffs, negativeSlope, output, shape, stream);
  }
}

}  // namespace resnode::cuda
