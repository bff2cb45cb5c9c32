#include "cuda/kernels/behind-relu.h"

#include "cuda/kernels/combine.h"

namespace resnode::cuda {
namespace {

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

}  // namespace

void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream) {
  launchCombine(Behind{behind}, {{behind.dy, behind.y}}, output, shape, stream);
}

}  // namespace resnode::cuda
