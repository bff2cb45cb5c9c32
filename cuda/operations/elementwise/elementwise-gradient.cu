#include "cuda/operations/elementwise/elementwise-gradient.h"

#include "cuda/kernels/combine.h"

namespace resnode::cuda {
namespace {

// Maps: dy, y and x.
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

}  // namespace

void launchUnaryGradient(const Elementwise& function, const void* x, const void* y, const void* dy, void* dx,
                         const ChannelShape& shape, cudaStream_t stream) {
  function.visit([&](const auto& each) {
    launchCombine(UnaryGradient<std::decay_t<decltype(each)>>{each, x != nullptr}, {{dy, y, x}}, dx, shape, stream);
  });
}

}  // namespace resnode::cuda
