// Convolutions of 8-bit integers. Sums are the reference's, which are integers below 2²⁴ here. The epilogue is computed
// again as docs/cpu-kernels.md defines it, and gives equal bits.
#include <algorithm>
#include <cmath>

#include "cuda/operations/convolution/convolution-mma.h"
#include "cuda/operations/convolution/integers-direct.h"
#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {
namespace {

using cuda::ElementType;

constexpr int kCapability = 90;

struct IntegersCase {
  ElementType input, output;
  bool bias = false, relu = false;
  bool residual = false, inPlace = false;
  ElementType residualType = ElementType::float16;
  float clip = 0;
  Slopes slopes = Slopes::none;
  int64_t residualStrideH = 1, residualStrideW = 1;
};
const IntegersCase kCases[] = {
    {ElementType::uint8, ElementType::uint8, true, true},
    {ElementType::int8, ElementType::int8},
    {ElementType::uint8, ElementType::float16, true},
    {ElementType::int8, ElementType::float16, true, true, true},
    {ElementType::uint8, ElementType::uint8, true, true, true, true, ElementType::uint8},
    {ElementType::uint8, ElementType::uint8, true, true, true, true, ElementType::int8},
    {ElementType::int8, ElementType::int8, false, false, true, false, ElementType::float16},
    {ElementType::uint8, ElementType::float16, true, true, true, false, ElementType::uint8},
    {ElementType::uint8, ElementType::uint8, true, false, true, false, ElementType::uint8, 100, Slopes::none, 2, 3},
    {ElementType::int8, ElementType::int8, true, false, false, false, ElementType::int8, 0, Slopes::perChannel},
    {ElementType::uint8, ElementType::float16, true, false, true, false, ElementType::float16, 0, Slopes::shared, 1, 2},
};

template <class Function>
void dispatchIntegers(ElementType type, Function function) {
  cuda::dispatchAny(type, [&](auto element) {
    if constexpr (!std::is_same_v<decltype(element), float> && !std::is_same_v<decltype(element), __nv_bfloat16>)
      function(element);
  });
}

// All integers of the type, or halves.
template <class T>
std::vector<float> numbers(int64_t count, unsigned seed) {
  const std::vector<float> units = randomPlain<float>(count, seed);
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = cuda::toFloat(cuda::fromFloat<T>(sizeof(T) > 1               ? units[i]
                                                 : std::is_same_v<T, int8_t> ? units[i] * 129
                                                                             : std::fabs(units[i]) * 257));
  return values;
}

template <class In, class Out, class Residual>
void checkAs(const ConvolutionCase& shape, const IntegersCase& each, const cuda::ConvolutionProblem& problem,
             size_t workspaceBytes, const ConvolutionLaunch& launch) {
  const cuda::Nhwc &in = problem.input, &out = problem.output;
  const int64_t weightInputs = in.c / shape.group, window = shape.r * shape.s;
  const auto input = numbers<In>(in.n * in.c * in.h * in.w, 1),
             weights = numbers<int8_t>(out.c * weightInputs * window, 2);
  const cuda::Nhwc& map = problem.residualShape();
  const auto residual = numbers<Residual>(each.residual ? map.n * map.c * map.h * map.w : 0, 3);
  const auto added = each.residual ? residualTaken(problem, residual) : std::vector<float>{};
  const auto slopes = randomMemory<float>(problem.slopes, 6, -1, 1);
  const auto bias = randomPlain<float>(each.bias ? out.c : 0, 4);
  auto factors = randomPlain<float>(out.paddedChannels + 1, 5);
  // Some results exceed the range, most do not.
  for (float& factor : factors)
    factor *= sizeof(Out) == 1 ? 1.f / 64 / std::sqrt(static_cast<float>(weightInputs * window)) : 1e-4f;
  factors.back() = 0.37f;

  const auto deviceInput = toPadded<In>(input, in.n, in.c, in.h * in.w, in.paddedChannels, in.n);
  const auto deviceWeights =
      toPadded<int8_t>(weights, out.c, weightInputs, window, problem.weightChannels(), out.paddedChannels);
  const auto deviceBias = toPadded<float>(bias, each.bias ? 1 : 0, out.c, 1, out.paddedChannels, 1);
  auto deviceResidual =
      toPadded<Residual>(residual, each.residual ? map.n : 0, map.c, map.h * map.w, map.paddedChannels, map.n);
  Memory<float> deviceFactors(factors.size());
  for (size_t i = 0; i < factors.size(); ++i) deviceFactors[i] = factors[i];
  Memory<Out> separate(out.elements());
  for (size_t i = 0; i < separate.size(); ++i) separate[i] = cuda::fromFloat<Out>(77);
  auto workspace = nanMemory<float>(workspaceBytes / sizeof(float));

  cuda::ConvolutionArguments arguments;
  arguments.input = deviceInput.data();
  arguments.weights = deviceWeights.data();
  arguments.bias = each.bias ? deviceBias.data() : nullptr;
  arguments.factors = deviceFactors.data();
  arguments.residual = each.residual ? deviceResidual.data() : nullptr;
  arguments.slopes = slopes.data();
  arguments.output = each.inPlace ? static_cast<void*>(deviceResidual.data()) : separate.data();
  arguments.workspace = workspaceBytes ? workspace.data() : nullptr;
  launch(problem, arguments);

  cuda::ConvolutionProblem plain = problem;
  plain.bias = plain.residual = plain.relu = false;
  plain.clip = 0;
  plain.slopes = 0;
  const auto sums = referenceConvolution(plain, input, weights, {}, {});
  const Out* made = static_cast<const Out*>(arguments.output);
  for (int64_t pixel = 0; pixel < out.pixels(); ++pixel) {
    for (int64_t channel = 0; channel < out.paddedChannels; ++channel) {
      const int64_t plane = out.h * out.w;
      const int64_t i = (pixel / plane * out.c + channel) * plane + pixel % plane;
      float value = 0;
      if (channel < out.c) {
        value = std::fma(sums[i], factors[channel], each.bias ? bias[channel] : 0);
        if (each.residual) value = std::fma(added[i], factors.back(), value);
        if (each.relu) value = std::max(value, 0.f);
        if (each.clip > 0) value = std::clamp(value, 0.f, each.clip);
        if (problem.slopes > 0 && value < 0) value *= slopes[problem.slopes == 1 ? 0 : channel];
      }
      const float wanted = cuda::toFloat(cuda::fromFloat<Out>(value)),
                  actual = cuda::toFloat(made[pixel * out.paddedChannels + channel]);
      if (actual != wanted)
        throw Failure(std::string(shape.name) + ", pixel " + std::to_string(pixel) + ", channel " +
                      std::to_string(channel) + ": " + std::to_string(actual) + ", not " + std::to_string(wanted));
    }
  }
}

cuda::ConvolutionProblem integersProblem(const ConvolutionCase& shape, const IntegersCase& each) {
  cuda::ConvolutionProblem problem = problemOf(shape, each.input, false,
                                               {each.bias, each.residual, false, each.relu, 0, each.clip, each.slopes,
                                                each.residualStrideH, each.residualStrideW});
  problem.outputType = each.output;
  problem.residualType = each.residualType;
  return problem;
}

void checkIntegers(const ConvolutionCase& shape, const IntegersCase& each, size_t workspaceBytes,
                   const ConvolutionLaunch& launch) {
  const cuda::ConvolutionProblem problem = integersProblem(shape, each);
  const auto check = [&](auto in) {
    dispatchIntegers(each.output, [&](auto out) {
      dispatchIntegers(each.residualType, [&](auto residual) {
        checkAs<decltype(in), decltype(out), decltype(residual)>(shape, each, problem, workspaceBytes, launch);
      });
    });
  };
  if (each.input == ElementType::uint8) check(cuda::Unsigned8{});
  else check(int8_t{});
}

int checkTile(const ConvolutionCase& shape, const IntegersCase& each, const cuda::MmaTile& tile) {
  const cuda::ConvolutionProblem problem = integersProblem(shape, each);
  if (!cuda::mmaRefusal(problem, tile, kCapability).empty()) return 0;
  std::vector<unsigned> arrivals(cuda::mmaArrivals(problem, tile));
  checkIntegers(shape, each, cuda::mmaWorkspaceBytes(problem, tile), [&](const auto& same, auto arguments) {
    arguments.arrivals = arrivals.data();
    cuda::launchConvolutionMma(same, tile, arguments, nullptr);
  });
  return 1;
}

// With whole vectors of 16 channels.
const ConvolutionCase kWide[] = {{"1×1", 2, 32, 5, 7, 48, 1, 1, 1, 0, 1, 1},
                                 {"1×1 stride 2", 1, 48, 7, 5, 72, 1, 1, 2, 0, 1, 1},
                                 {"3×3 pad 1", 1, 16, 7, 6, 33, 3, 3, 1, 1, 1, 1},
                                 {"3×3 of 9·17 pixels", 1, 32, 9, 17, 88, 3, 3, 1, 1, 1, 1}};

RESNODE_TEST(convolution_integers, "by the direct kernel, every shape and type") {
  const auto check = [](const ConvolutionCase& shape, const IntegersCase& each) {
    checkIntegers(shape, each, 0, [](const auto& problem, const auto& arguments) {
      cuda::launchIntegersDirect(problem, arguments, nullptr);
    });
  };
  for (const IntegersCase& each : kCases) {
    for (const ConvolutionCase& shape : kWide) check(shape, each);
  }
  for (const ConvolutionCase& shape : residualNetCases()) check(shape, kCases[4]);
  for (const ConvolutionCase& shape : oddCases()) check(shape, kCases[1]);
  check({"groups of 4", 2, 24, 6, 7, 12, 3, 3, 2, 1, 1, 6}, kCases[4]);
}

RESNODE_TEST(convolution_integers, "by tensor cores, every shape and type") {
  for (const IntegersCase& each : kCases) {
    for (const ConvolutionCase& shape : kWide) expect(checkTile(shape, each, {64, 64, 128, 4}) == 1, shape.name);
  }
}

RESNODE_TEST(convolution_integers, "by tensor cores, every tile") {
  int run = 0;
  for (const cuda::MmaTile& tile : cuda::mmaTiles()) {
    for (const ElementType input : {ElementType::uint8, ElementType::int8}) {
      IntegersCase each = kCases[4];
      each.input = input;
      run += checkTile(kWide[0], each, tile) + checkTile(kWide[2], each, tile);
    }
  }
  expect(run == 4 * 2 * 2, std::to_string(run) + " kernels");
}

RESNODE_TEST(convolution_integers, "split reductions add integers") {
  for (const int splits : {2, 3}) {
    for (const bool isJoined : {false, true})
      expect(checkTile(kWide[3], kCases[4], {64, 64, 128, 4, splits, isJoined}) == 1, "refused");
  }
}

}  // namespace
}  // namespace resnode::test
