#include "cuda/operations/scale/affine-gradient.h"

#include "cuda/kernels/channel-sums.h"

namespace resnode::cuda {
namespace {

// Maps: dy, y and x.
struct AffineTerms {
  static constexpr int kMaps = 3;
  using Channel = AnyChannel;
  BehindRelu behind;
  RESNODE_HOST_DEVICE Channel channel(int64_t) const { return {}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel&) const {
    const float dy = behind.of(values[0], values[1]);
    return {dy, dy * values[2]};
  }
};

// Maps: dy and y.
struct Scaled {
  static constexpr int kMaps = 2;
  struct Channel {
    float scale;
  };
  BehindRelu behind;
  const float* scale;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return {scale ? scale[c] : 1.0f}; }
  RESNODE_HOST_DEVICE float operator()(const float (&values)[kMaps], const Channel& own) const {
    return behind.of(values[0], values[1]) * own.scale;
  }
};

}  // namespace

void launchAffineGradient(const AffineGradient& gradient, const ChannelShape& shape, float* scratch,
                          cudaStream_t stream) {
  const BehindRelu& behind = gradient.behind;
  if (gradient.dScale || gradient.dBias) {
    const Maps<3> maps{{behind.dy, behind.y, gradient.dScale ? gradient.x : nullptr}};
    launchChannelSums(AffineTerms{behind}, maps, shape, gradient.dBias, gradient.dScale, scratch, stream);
  }
  if (gradient.dx) launchCombine(Scaled{behind, gradient.scale}, {{behind.dy, behind.y}}, gradient.dx, shape, stream);
}

}  // namespace resnode::cuda
