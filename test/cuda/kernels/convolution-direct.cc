#include "cuda/operations/convolution/convolution-direct.h"

#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {
namespace {

void check(const std::vector<ConvolutionCase>& cases) {
  for (const ConvolutionCase& shape : cases) {
    for (const ConvolutionExtras& extras : allExtras()) {
      eachType([&](auto element, cuda::ElementType type) {
        checkConvolution<decltype(element)>(shape, type, false, extras, 0,
                                            [](const auto& problem, const auto& arguments) {
                                              cuda::launchConvolutionDirect(problem, arguments, nullptr);
                                            });
      });
    }
  }
}

}  // namespace

RESNODE_TEST(convolution_direct, "the convolutions of residual nets") { check(residualNetCases()); }
RESNODE_TEST(convolution_direct, "odd sizes, dilation, padding") { check(oddCases()); }
RESNODE_TEST(convolution_direct, "groups") { check(groupedCases()); }

}  // namespace resnode::test
