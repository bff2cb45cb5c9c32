#include "cuda/operations/convolution/convolution-gradient.h"

#include <algorithm>

#include "cuda/operations/convolution/depthwise.h"
#include "test/cuda/kernels/convolution-check.h"
#include "test/cuda/kernels/gradients.h"

namespace resnode::test {
namespace {

// Float32 sums of K products in any order: (K + 3)·2⁻²³ times the sum of their magnitudes, which the reference itself
// gives; for dx in 16 bits, plus one rounding: 2⁻¹¹ (float16, and 2⁻²⁵ if it is subnormal) or 2⁻⁸ (bfloat16) of the
// value.
template <class T>
void check(const ConvolutionCase& shape, cuda::ElementType type) {
  const cuda::ConvolutionProblem problem = problemOf(shape, type);
  const cuda::Nhwc &in = problem.input, &out = problem.output;
  const int64_t weightInputs = in.c / shape.group, window = shape.r * shape.s;
  const Shape inShape{in.n, in.c, in.h, in.w}, outShape{out.n, out.c, out.h, out.w},
      weightShape{out.c, weightInputs, shape.r, shape.s};
  const auto x = randomPlain<T>(elementCount(inShape), 1), weights = randomPlain<T>(elementCount(weightShape), 2);
  const auto diff = randomPlain<T>(elementCount(outShape), 3);
  const Convolution convolution = convolutionOf(problem);
  const auto gradients = [&](auto of) {
    return referenceGradients(convolution, {{inShape, of(x)}}, {outShape}, {of(diff)}, {of(weights)},
                              {weightShape, {out.c}});
  };
  const Gradients expected = gradients([](const auto& values) { return values; }),
                  sizes = gradients([](const auto& values) { return absolute(values); });

  const auto input = nhwcOf<T>(x, in), dy = nhwcOf<T>(diff, out);
  const auto packed = toPadded<T>(weights, out.c, weightInputs, window, problem.weightChannels(), out.paddedChannels);
  auto dx = nanMemory<T>(static_cast<size_t>(in.elements()));
  auto dw = nanMemory<float>(weights.size());
  auto asWeights = nanMemory<float>(static_cast<size_t>(problem.weightElements()));
  auto dataScratch = scratchOf(cuda::dataGradientScratch(problem)),
       weightScratch = scratchOf(cuda::weightGradientScratch(problem));
  cuda::launchDataGradient(problem, dy.data(), packed.data(), dx.data(), dataScratch.data(), nullptr);
  cuda::launchWeightGradient(problem, input.data(), dy.data(), asWeights.data(), weightScratch.data(), nullptr);
  cuda::launchPlainWeights(problem, asWeights.data(), dw.data(), nullptr);
  if (cuda::hasPlainWeights(problem)) nearPlain(asWeights, floatsOf(dw), 0, 0, "the same numbers in the same order");

  const auto compare = [&](const std::vector<float>& actual, size_t diffOf, int64_t products) {
    const bool isNarrow = diffOf == 0 && type != cuda::ElementType::float32,
               isHalf = type == cuda::ElementType::float16;
    const double relative = !isNarrow ? 0 : isHalf ? 0x1p-11 : 0x1p-8, subnormal = isNarrow && isHalf ? 0x1p-25 : 0;
    const auto& wanted = diffOf == 0 ? expected.dx[0] : expected.dw[0];
    const auto& size = diffOf == 0 ? sizes.dx[0] : sizes.dw[0];
    for (size_t i = 0; i < wanted.size(); ++i) {
      near(actual[i], wanted[i], relative, static_cast<double>(products + 3) * 0x1p-23 * size[i] + subnormal, [&] {
        return std::string(shape.name) + " " + nameOf(type) + (diffOf == 0 ? " dx " : " dw ") + std::to_string(i);
      });
    }
  };
  compare(plainOf(dx, in).values, 0, out.c / shape.group * window);
  compare(floatsOf(dw), 1, out.pixels());
  if (cuda::isDepthwise(problem)) {
    auto own = nanMemory<T>(static_cast<size_t>(in.elements()));
    cuda::ConvolutionArguments arguments;
    arguments.diff = dy.data();
    arguments.weights = packed.data();
    arguments.output = own.data();
    cuda::launchDepthwiseDataGradient(problem, arguments, nullptr);
    compare(plainOf(own, in).values, 0, window);
    for (int64_t i = 0; i < in.elements(); ++i)
      expect(i % in.paddedChannels < in.c || cuda::toFloat(own[static_cast<size_t>(i)]) == 0,
             [&] { return std::string(shape.name) + ": padding of dx"; });
    auto ownAsWeights = nanMemory<float>(static_cast<size_t>(problem.weightElements()));
    auto ownScratch = scratchOf(cuda::depthwiseWeightGradientScratch(problem));
    arguments.input = input.data();
    arguments.output = ownAsWeights.data();
    arguments.workspace = ownScratch.data();
    cuda::launchDepthwiseWeightGradient(problem, arguments, nullptr);
    cuda::launchPlainWeights(problem, ownAsWeights.data(), dw.data(), nullptr);
    compare(floatsOf(dw), 1, out.pixels());
    for (size_t i = static_cast<size_t>(out.c * window); i < ownAsWeights.size(); ++i)
      expect(ownAsWeights[i] == 0, [&] { return std::string(shape.name) + ": padding of dw"; });
  }
  for (size_t i = static_cast<size_t>(out.c * window * problem.weightChannels()); i < asWeights.size(); ++i)
    expect(asWeights[i] == 0, [&] { return std::string(shape.name) + ": padding of dw"; });
  for (int64_t i = 0; i < in.elements(); ++i)
    expect(i % in.paddedChannels < in.c || cuda::toFloat(dx[static_cast<size_t>(i)]) == 0,
           [&] { return std::string(shape.name) + ": padding of dx"; });
}

void check(const ConvolutionCase& shape) {
  eachType([&](auto element, cuda::ElementType type) { check<decltype(element)>(shape, type); });
}

}  // namespace

RESNODE_TEST(convolution_gradient, "the convolutions of residual nets") {
  for (const auto& shape : residualNetCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "odd sizes, dilation, padding") {
  for (const auto& shape : oddCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "groups") {
  for (const auto& shape : groupedCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "depthwise, also by its own kernels") {
  const ConvolutionCase manyPixels{"many pixels", 3, 40, 19, 23, 40, 3, 5, 1, 1, 1, 40};
  const auto scratch = cuda::depthwiseWeightGradientScratch(problemOf(manyPixels, cuda::ElementType::float32));
  expect(scratch > 15 * 40, "several blocks share the pixels");
  check(manyPixels);
  for (const auto& shape : depthwiseCases()) {
    expect(cuda::isDepthwise(problemOf(shape, cuda::ElementType::float16)), shape.name);
    check(shape);
  }
}
RESNODE_TEST(convolution_gradient, "long reductions are split among blocks") {
  const ConvolutionCase pixels{"many pixels", 3, 3, 19, 23, 5, 3, 3, 1, 1, 1, 1},
      filters{"many filters", 1, 5, 3, 3, 600, 1, 1, 1, 0, 1, 1};
  expect(cuda::weightGradientScratch(problemOf(pixels, cuda::ElementType::float32)) > 0, "1311 pixels are shared");
  expect(cuda::dataGradientScratch(problemOf(filters, cuda::ElementType::float32)) > 0, "600 filters are shared");
  check(pixels);
  check(filters);
}

}  // namespace resnode::test
