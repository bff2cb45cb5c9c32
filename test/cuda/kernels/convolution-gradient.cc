#include "kernels/convolution-gradient.h"

#include <algorithm>

#include "convolution-check.h"
#include "gradients.h"

namespace resnode::test {
namespace {

Convolution attributesOf(const cuda::ConvolutionProblem& problem) {
  Convolution convolution;
  convolution.weights = 0;
  convolution.kernel = {problem.r, problem.s};
  convolution.stride = {problem.strideH, problem.strideW};
  convolution.pad = {problem.padH, problem.padW};
  convolution.dilation = {problem.dilationH, problem.dilationW};
  convolution.group = problem.group;
  return convolution;
}

// Float32 sums of K products in any order: (K + 3)·2⁻²³ of the sum of their sizes, which the reference itself gives.
void check(const ConvolutionCase& shape) {
  const cuda::ConvolutionProblem problem = problemOf(shape, cuda::ElementType::float32);
  const cuda::Nhwc &in = problem.input, &out = problem.output;
  const int64_t weightInputs = in.c / shape.group, window = shape.r * shape.s;
  const Shape inShape{in.n, in.c, in.h, in.w}, outShape{out.n, out.c, out.h, out.w}, weightShape{out.c, weightInputs, shape.r, shape.s};
  const auto x = randomPlain<float>(elementCount(inShape), 1), weights = randomPlain<float>(elementCount(weightShape), 2);
  const auto diff = randomPlain<float>(elementCount(outShape), 3);
  const Convolution convolution = attributesOf(problem);
  const auto gradients = [&](auto of) {
    return referenceGradients(convolution, {{inShape, of(x)}}, {outShape}, {of(diff)}, {of(weights)}, {weightShape, {out.c}});
  };
  const Gradients expected = gradients([](const auto& values) { return values; }), sizes = gradients([](const auto& values) { return absolute(values); });

  const auto input = nhwcOf(x, in), dy = nhwcOf(diff, out);
  const auto packed = toPadded<float>(weights, out.c, weightInputs, window, problem.weightChannels(), out.paddedChannels);
  auto dx = nanMemory<float>(static_cast<size_t>(in.elements())), dw = nanMemory<float>(weights.size());
  auto asWeights = nanMemory<float>(static_cast<size_t>(problem.weightElements()));
  auto dataScratch = scratchOf(cuda::dataGradientScratch(problem)), weightScratch = scratchOf(cuda::weightGradientScratch(problem));
  cuda::launchDataGradient(problem, dy.data(), packed.data(), dx.data(), dataScratch.data(), nullptr);
  cuda::launchWeightGradient(problem, input.data(), dy.data(), asWeights.data(), weightScratch.data(), nullptr);
  cuda::launchPlainWeights(problem, asWeights.data(), dw.data(), nullptr);
  if (cuda::hasPlainWeights(problem)) nearPlain(asWeights, floatsOf(dw), 0, 0, "the same numbers in the same order");

  const auto compare = [&](const std::vector<float>& actual, size_t diffOf, int64_t products) {
    const auto& wanted = diffOf == 0 ? expected.dx[0] : expected.dw[0];
    const auto& size = diffOf == 0 ? sizes.dx[0] : sizes.dw[0];
    for (size_t i = 0; i < wanted.size(); ++i) {
      near(actual[i], wanted[i], 0, static_cast<double>(products + 3) * 0x1p-23 * size[i], [&] { return std::string(shape.name) + (diffOf == 0 ? " dx " : " dw ") + std::to_string(i); });
    }
  };
  compare(plainOf(dx, in).values, 0, out.c / shape.group * window);
  compare(floatsOf(dw), 1, out.pixels());
  for (size_t i = static_cast<size_t>(out.c * window * problem.weightChannels()); i < asWeights.size(); ++i) expect(asWeights[i] == 0, std::string(shape.name) + ": padding of dw");
  for (int64_t i = 0; i < in.elements(); ++i) expect(i % in.paddedChannels < in.c || dx[static_cast<size_t>(i)] == 0, std::string(shape.name) + ": padding of dx");
}

}  // namespace

RESNODE_TEST(convolution_gradient, "what residual nets are made of") {
  for (const auto& shape : residualNetCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "odd sizes, dilation, padding") {
  for (const auto& shape : oddCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "groups") {
  for (const auto& shape : groupedCases()) check(shape);
}
RESNODE_TEST(convolution_gradient, "long reductions are shared by blocks") {
  const ConvolutionCase pixels{"many pixels", 3, 3, 19, 23, 5, 3, 3, 1, 1, 1, 1}, filters{"many filters", 1, 5, 3, 3, 600, 1, 1, 1, 0, 1, 1};
  expect(cuda::weightGradientScratch(problemOf(pixels, cuda::ElementType::float32)) > 0, "1311 pixels are shared");
  expect(cuda::dataGradientScratch(problemOf(filters, cuda::ElementType::float32)) > 0, "600 filters are shared");
  check(pixels);
  check(filters);
}

}  // namespace resnode::test
