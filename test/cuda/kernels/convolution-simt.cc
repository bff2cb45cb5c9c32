#include "cuda/operations/convolution/convolution-simt.h"

#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {

RESNODE_TEST(convolution_simt, "every tile, every shape") {
  for (const cuda::SimtTile& tile : cuda::simtTiles()) {
    for (const auto* cases : {&residualNetCases(), &oddCases()}) {
      for (const ConvolutionCase& shape : *cases) {
        for (const ConvolutionExtras& extras : allExtras()) {
          const std::string refusal = cuda::simtRefusal(problemOf(shape, cuda::ElementType::float32), tile);
          expect(refusal.empty(), std::string(shape.name) + ": " + refusal);
          checkConvolution<float>(shape, cuda::ElementType::float32, false, extras, 0,
                                  [&](const auto& problem, const auto& arguments) {
                                    cuda::launchConvolutionSimt(problem, tile, arguments, nullptr);
                                  });
        }
      }
    }
  }
}

RESNODE_TEST(convolution_simt, "several blocks in each direction") {
  const ConvolutionCase shape{"3×3 of 9·17 pixels", 1, 8, 9, 17, 136, 3, 3, 1, 1, 1, 1};
  for (const cuda::SimtTile& tile : cuda::simtTiles()) {
    checkConvolution<float>(shape, cuda::ElementType::float32, false, {true, true, true, true, 0.25f}, 0,
                            [&](const auto& problem, const auto& arguments) {
                              cuda::launchConvolutionSimt(problem, tile, arguments, nullptr);
                            });
  }
}

RESNODE_TEST(convolution_simt, "unsupported problems are refused") {
  expect(!cuda::simtRefusal(problemOf(residualNetCases()[0], cuda::ElementType::float16), {64, 64}).empty(), "float16");
  expect(cuda::simtRefusal(problemOf(groupedCases()[1], cuda::ElementType::float32), {64, 64}) == "groups", "groups");
  expect(!cuda::simtRefusal(problemOf(residualNetCases()[0], cuda::ElementType::float32), {64, 65}).empty(),
         "a tile that does not exist");
}

}  // namespace resnode::test
