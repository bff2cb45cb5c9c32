#include "cuda/operations/elementwise/elementwise.h"

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

template <class T>
struct UnaryStep {
  T function;
  RESNODE_HOST_DEVICE float operator()(float x, int64_t) const { return valueOf(function, x); }
};

}  // namespace

void launchUnary(const Elementwise& function, ElementType type, const void* input, void* output, int64_t elements,
                 int64_t channels, int64_t paddedChannels, cudaStream_t stream) {
  const Channels all{channels, paddedChannels, 1};
  dispatch(type, [&](auto element) {
    function.visit([&](const auto& each) {
      launchMap<decltype(element)>(UnaryStep<std::decay_t<decltype(each)>>{each}, input, output, elements, all, stream);
    });
  });
}

}  // namespace resnode::cuda
