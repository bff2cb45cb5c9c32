#include "cuda/operations/elementwise/elementwise.h"

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

template <class T>
struct UnaryStep {
  T function;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t) const { return valueOf(function, x); }
};

struct PReluStep {
  const float* slope;
  bool channelShared;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t channel) const {
    return x > 0 ? x : x * slope[channelShared ? 0 : channel];
  }
};

}  // namespace

void launchUnary(const Elementwise& function, ElementType type, const void* input, void* output, int64_t elements,
                 int64_t channels, int64_t paddedChannels, cudaStream_t stream) {
  const Channels all{channels, paddedChannels, 1};
  dispatch(type, [&](auto element) {
    std::visit(
        [&](const auto& each) {
          launchMap<decltype(element)>(UnaryStep<std::decay_t<decltype(each)>>{each}, input, output, elements, all,
                                       stream);
        },
        function);
  });
}

void launchPRelu(ElementType type, const void* input, const float* slope, bool channelShared, void* output,
                 int64_t outer, int64_t channels, int64_t paddedChannels, int64_t inner, cudaStream_t stream) {
  dispatch(type, [&](auto element) {
    launchMap<decltype(element)>(PReluStep{slope, channelShared}, input, output, outer * paddedChannels * inner,
                                 {channels, paddedChannels, inner}, stream);
  });
}

}  // namespace resnode::cuda
