#include "cuda/operations/convolution/convolution-pooled.h"

#include "cuda/operations/convolution/convolution-direct.h"
#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {
namespace {

constexpr int kCapability = 90;

// The pooling after the convolution, with sizes rounded as in Caffe (pooling_layer.cpp).
cuda::PoolingShape poolingOf(const cuda::Nhwc& map, int64_t pad) {
  const auto across = [&](int64_t size) {
    const int64_t out = (size + 2 * pad - 3 + 1) / 2 + 1;
    return pad > 0 && (out - 1) * 2 >= size + pad ? out - 1 : out;
  };
  return {map, {map.n, across(map.h), across(map.w), map.c, map.paddedChannels}, 3, 3, 2, 2, pad, pad};
}

// Integers, so that sums are the same in any order.
template <class T>
Memory<T> integers(int64_t count, unsigned seed) {
  Memory<T> values(count);
  unsigned state = seed;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = cuda::fromFloat<T>(static_cast<float>(static_cast<int>(state >> 16) % 4));
  }
  return values;
}

template <class T>
void check(const ConvolutionCase& shape, cuda::ElementType type, int64_t pad, const ConvolutionExtras& extras) {
  cuda::ConvolutionProblem problem = problemOf(shape, type, false, extras);
  problem.pooling = poolingOf(problem.output, pad);
  const cuda::Nhwc &in = problem.input, &map = problem.output, &made = problem.pooling->output;
  // Zeros in padding channels; for the weights this suffices.
  Memory<T> input = integers<T>(in.elements(), 1), weights = integers<T>(problem.weightElements(), 2);
  const int64_t depth = problem.weightChannels(), filter = problem.r * problem.s * depth;
  for (int64_t i = 0; i < problem.weightElements(); ++i) {
    if (i % depth >= in.c || i / filter >= map.c) weights[i] = cuda::fromFloat<T>(0);
  }
  Memory<float> bias(map.paddedChannels);
  for (int64_t i = 0; i < map.paddedChannels; ++i) bias[i] = i < map.c ? static_cast<float>(i % 9) - 60 : 0;
  cuda::ConvolutionArguments arguments;
  arguments.input = input.data();
  arguments.weights = weights.data();
  arguments.bias = problem.bias ? bias.data() : nullptr;
  Memory<T> whole = nanMemory<T>(map.elements()), expected = nanMemory<T>(made.elements());
  arguments.output = whole.data();
  cuda::launchConvolutionDirect(problem, arguments, nullptr);
  cuda::launchMaxPooling(*problem.pooling, type, whole.data(), expected.data(), {}, nullptr);
  for (const cuda::MmaTile& tile : cuda::pooledTiles()) {
    const std::string what = std::string(shape.name) + " " + nameOf(type) + sizes(" pad", pad, "tile", tile.pixels);
    expect(cuda::pooledRefusal(problem, tile, kCapability).empty(),
           what + ": " + cuda::pooledRefusal(problem, tile, kCapability));
    Memory<T> output = nanMemory<T>(made.elements());
    arguments.output = output.data();
    cuda::launchConvolutionPooled(problem, tile, arguments, nullptr);
    nearPlain(output, floatsOf(expected), 0, 0, what);
  }
}

// More than the 7×8 windows of a block, so that blocks have neighbours below and beside; edges that clip windows.
const ConvolutionCase kCases[] = {{"7×7 stride 2 of images", 2, 3, 33, 41, 40, 7, 7, 2, 3, 1, 1},
                                  {"3×3 of 8 channels, 72 filters", 1, 8, 17, 19, 72, 3, 3, 1, 1, 1, 1},
                                  {"as folded: 4×4 of 16 channels", 1, 16, 16, 33, 64, 4, 4, 1, 2, 1, 1},
                                  {"one window", 1, 8, 2, 2, 8, 3, 3, 1, 1, 1, 1}};

}  // namespace

RESNODE_TEST(convolution_pooled,
             "what the convolution and the pooling behind it make one after the other, bit for bit") {
  for (const ConvolutionCase& shape : kCases) {
    eachType([&](auto element, cuda::ElementType type) {
      if constexpr (sizeof element == 2) {
        check<decltype(element)>(shape, type, 0, {});
        check<decltype(element)>(shape, type, 1, {true, false, false, true, 0.25f});
      }
    });
  }
}

RESNODE_TEST(convolution_pooled, "what it refuses, and says so") {
  const cuda::MmaTile& tile = cuda::pooledTiles().front();
  cuda::ConvolutionProblem problem = problemOf(kCases[0], cuda::ElementType::float16);
  const auto refusal = [&] { return cuda::pooledRefusal(problem, tile, kCapability); };
  expect(refusal() == "no pooling", "no pooling");
  problem.pooling = poolingOf(problem.output, 0);
  expect(refusal().empty(), refusal());
  expect(cuda::pooledRefusal(problem, tile, 75).find("8.0") != std::string::npos, "sm_75");
  problem.pooling->strideW = 1;
  expect(refusal().find("3×3 of stride 2") != std::string::npos, "another stride");
  problem.pooling->strideW = 2;
  problem.type = cuda::ElementType::float32;
  expect(refusal().find("16 bits") != std::string::npos, "float32");
}

}  // namespace resnode::test
