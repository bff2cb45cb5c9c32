#include "affine-gradient.h"

#include "channel-sums.h"
#include "each-element.h"

namespace resnode::cuda {
namespace {

struct AffineTerms {
  BehindRelu behind;
  const float* x;  // null: the second sum is not wanted
  __device__ SumPair operator()(int64_t i, int64_t) const {
    const float dy = behind.at(i);
    return {dy, x ? dy * x[i] : 0.0f};
  }
};

struct Scaled {
  BehindRelu behind;
  const float* scale;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t channel) const { return scale ? behind.at(i) * scale[channel] : behind.at(i); }
};

}  // namespace

void launchAffineGradient(const AffineGradient& gradient, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  if (gradient.dScale || gradient.dBias) {
    const AffineTerms terms{gradient.behind, gradient.dScale ? gradient.x : nullptr};
    launchChannelSums(terms, shape, gradient.dBias, gradient.dScale, scratch, stream);
  }
  if (gradient.dx) launchEachElement(Scaled{gradient.behind, gradient.scale}, gradient.dx, shape.elements(), shape.channels, stream);
}

}  // namespace resnode::cuda
