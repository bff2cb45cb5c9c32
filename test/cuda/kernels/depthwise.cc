#include "cuda/operations/convolution/depthwise.h"

#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {

RESNODE_TEST(depthwise, "every epilogue, stride and dilation") {
  for (const ConvolutionCase& shape : depthwiseCases()) {
    for (const ConvolutionExtras& extras : allExtras()) {
      eachType([&](auto element, cuda::ElementType type) {
        checkConvolution<decltype(element)>(
            shape, type, false, extras, 0,
            [](const auto& problem, const auto& arguments) { cuda::launchDepthwise(problem, arguments, nullptr); });
      });
    }
  }
}

RESNODE_TEST(depthwise, "which convolutions are depthwise") {
  const auto is = [](const ConvolutionCase& shape) {
    return isDepthwise(problemOf(shape, cuda::ElementType::float32));
  };
  expect(is({"depthwise", 1, 33, 5, 4, 33, 3, 3, 1, 1, 1, 33}), "a group a channel");
  expect(!is({"one channel", 1, 1, 5, 4, 1, 3, 3, 1, 1, 1, 1}), "one channel is a plain convolution");
  expect(!is({"two outputs a channel", 1, 8, 5, 4, 16, 3, 3, 1, 1, 1, 8}), "two outputs a channel");
  expect(!is({"groups of 2", 1, 16, 5, 4, 16, 3, 3, 1, 1, 1, 8}), "groups of 2");
  expect(!is({"huge", 1, 8, 64, 64, 8, 64, 64, 1, 0, 1, 8}), "filters that do not fit");
}

}  // namespace resnode::test
