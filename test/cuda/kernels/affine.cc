#include "cuda/operations/scale/affine.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// The specification: subtract the center, Scale, then SUM with the residual, then ReLU. In float64 with one rounding,
// as the kernel in float32.
std::vector<float> expectedOf(const std::vector<float>& input, const std::vector<float>& residual, const Affine& affine,
                              int64_t inner) {
  std::vector<float> result(input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) / inner % affine.channels;
    double value = (static_cast<double>(input[i]) - (affine.center ? affine.center[channel] : 0.0f)) *
                       (affine.scale ? affine.scale[channel] : 1.0f) +
                   (affine.bias ? affine.bias[channel] : 0.0f);
    if (!residual.empty()) value += residual[i];
    if (affine.relu && value < 0) value *= affine.negativeSlope;
    result[i] = static_cast<float>(value);
  }
  return result;
}

enum class Into { output, input, residual };

RESNODE_TEST(affine, "nhwc: center, scale, bias, residual and ReLU in every combination, in place on either") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : test::oddShapes()) {
      const auto scale = test::randomMemory<float>(static_cast<size_t>(shape.c), 21),
                 bias = test::randomMemory<float>(static_cast<size_t>(shape.c), 22);
      const auto center = test::randomMemory<float>(static_cast<size_t>(shape.c), 28),
                 by = test::randomMemory<float>(static_cast<size_t>(3 * shape.c), 29);
      const std::vector<float> plainInput = test::plainOf(test::randomNhwc<T>(shape, 23), shape).values,
                               plainResidual = test::plainOf(test::randomNhwc<T>(shape, 24), shape).values;
      for (int options = 0; options < 32; ++options) {
        Affine affine{shape.pixels(), shape.c, 1, shape.paddedChannels};
        if (options & 16) affine.center = center.data();
        if (options & 1) affine.scale = scale.data();
        if (options & 2) affine.bias = bias.data();
        affine.relu = options & 8;
        affine.negativeSlope = shape.c % 2 ? 0.0f : 0.25f;
        std::vector<float> added = options & 4 ? plainResidual : std::vector<float>();
        if ((options & 6) == 6) affine.residualBy = by.data();
        for (size_t i = 0; affine.residualBy && i < added.size(); ++i) {
          const size_t channels = scale.size(), channel = i / static_cast<size_t>(shape.h * shape.w) % channels;
          added[i] = (added[i] - by[channel]) * by[channels + channel] + by[2 * channels + channel];
        }
        const auto expected = expectedOf(plainInput, added, affine, shape.h * shape.w);
        for (Into into : {Into::output, Into::input, Into::residual}) {
          if (into == Into::residual && !(options & 4)) continue;
          const size_t misaligned = options == 5 ? 1 : 0;
          auto input = test::randomNhwc<T>(shape, 23, -2, 2, misaligned), residual = test::randomNhwc<T>(shape, 24);
          auto output = test::nanMemory<T>(input.size());
          if (options & 4) affine.residual = residual.data();
          auto& target = into == Into::output ? output : into == Into::input ? input : residual;
          const std::string what = test::describe(shape, type) + " options " + std::to_string(options) + " into " +
                                   std::to_string(static_cast<int>(into));
          test::Memory<uint8_t> signs(target.size() / 8);
          const bool hasSigns = affine.relu && shape.paddedChannels % 8 == 0;
          if (hasSigns) affine.signs = signs.data();
          launchAffine(affine, type, input.data(), target.data(), nullptr);
          test::nearNhwc(target, shape, expected, test::relativeOf(type), 1e-5, what);
          for (size_t i = 0; hasSigns && i < target.size(); ++i) {
            const bool isPositive = (signs[i / 8] >> (i % 8) & 1) != 0;
            test::expect(isPositive == (toFloat(target[i]) > 0), [&] { return what + ", sign " + std::to_string(i); });
          }
        }
      }
    }
  });
}

RESNODE_TEST(affine, "row-major with and without an inner dimension equals Caffe's Scale") {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{3, 31, 1}, Shape{2, 33, 31}, Shape{5, 8, 3}, Shape{1, 1, 1025}}) {
    auto values = test::randomMemory<float>(static_cast<size_t>(elementCount(shape)), 25);
    const auto scale = test::randomMemory<float>(static_cast<size_t>(shape[1]), 26),
               bias = test::randomMemory<float>(static_cast<size_t>(shape[1]), 27);
    Scale layer;
    layer.scale = 0;
    layer.bias = 1;
    layer.outer = shape[0];
    layer.channels = shape[1];
    layer.inner = shape[2];
    layer.relu = FusedRelu{0.1f};
    const auto expected =
        test::reference(layer, {{shape, test::floatsOf(values)}}, shape, {test::floatsOf(scale), test::floatsOf(bias)});
    Affine affine{shape[0], shape[1], shape[2], shape[1], nullptr, scale.data(), bias.data(), nullptr, true, 0.1f};
    launchAffine(affine, ElementType::float32, values.data(), values.data(), nullptr);
    test::nearPlain(values, expected, 1e-5, 1e-6, test::sizes(shape[0], shape[1], shape[2]));
  }
}

RESNODE_TEST(affine, "more rows than a grid has, and more channels than a block") {
  for (const Nhwc& shape : {Nhwc{1, 600, 1, 8, 8}, Nhwc{1, 3, 1, 4099, 4104}, Nhwc{1, 70000, 1, 3, 4}}) {
    const auto input = test::randomNhwc<__half>(shape, 28);
    const auto scale = test::randomMemory<float>(static_cast<size_t>(shape.c), 29);
    auto output = test::nanMemory<__half>(input.size());
    const Affine affine{shape.pixels(), shape.c, 1, shape.paddedChannels, scale.data()};
    launchAffine(affine, ElementType::float16, input.data(), output.data(), nullptr);
    test::nearNhwc(output, shape, expectedOf(test::plainOf(input, shape).values, {}, affine, shape.h * shape.w),
                   1.0 / 1024, 1e-5, test::describe(shape, ElementType::float16));
  }
}

RESNODE_TEST(affine, "no rows") { launchAffine({0, 8, 1, 8}, ElementType::float16, nullptr, nullptr, nullptr); }

}  // namespace
}  // namespace resnode::cuda
