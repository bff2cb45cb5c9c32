#include "cuda/operations/batch-norm/batch-statistics.h"

#include <algorithm>

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

struct Statistics {
  std::vector<double> mean, variance;
};

// In float64, in two passes. `at(o, c, i)` is an element.
template <class At>
Statistics statisticsOf(int64_t outer, int64_t channels, int64_t inner, At at) {
  Statistics statistics;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) sum += at(o, c, i);
    }
    const double mean = sum / static_cast<double>(outer * inner);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) squares += (at(o, c, i) - mean) * (at(o, c, i) - mean);
    }
    statistics.mean.push_back(mean);
    statistics.variance.push_back(squares / static_cast<double>(outer * inner));
  }
  return statistics;
}

// With and without scratch, within the bound in the header.
template <class T>
void check(ElementType type, const test::Memory<T>& input, int64_t outer, int64_t channels, int64_t padded,
           int64_t inner, const std::string& what) {
  const Statistics expected = statisticsOf(outer, channels, inner, [&](int64_t o, int64_t c, int64_t i) {
    return static_cast<double>(toFloat(input[static_cast<size_t>((o * padded + c) * inner + i)]));
  });
  const int64_t floats = batchStatisticsScratch(type, outer, channels, padded, inner), count = outer * inner;
  auto scratch = test::nanMemory<float>(static_cast<size_t>(floats));
  for (bool withScratch : {true, false}) {
    auto mean = test::nanMemory<float>(static_cast<size_t>(channels)),
         variance = test::nanMemory<float>(static_cast<size_t>(channels));
    launchBatchStatistics(type, input.data(), outer, channels, padded, inner, mean.data(), variance.data(), nullptr,
                          withScratch && floats > 0 ? scratch.data() : nullptr);
    const double taken = withScratch ? 16 + 16 : static_cast<double>(count) / (inner > 1 ? 256 : 32) + 16;
    for (int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<size_t>(c);
      const std::string which = what + (withScratch ? "" : " without scratch") + " channel " + std::to_string(c);
      const double unit = 4 * taken * 0x1p-24, deviation = std::sqrt(expected.variance[at]),
                   size = std::fabs(expected.mean[at]);
      test::near(mean[at], expected.mean[at], 0, unit * (size + deviation), which + " mean");
      // The variance of a constant is that of the mean's rounding.
      test::near(variance[at], expected.variance[at], 0,
                 unit * (expected.variance[at] + size * deviation) + unit * unit * size * size, which + " variance");
    }
  }
}

RESNODE_TEST(batch_statistics, "nhwc at odd sizes, ignoring the padding") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : test::oddShapes()) {
      auto input = test::randomNhwc<T>(shape, 41, -1, 3, shape.c == 31 ? 1 : 0);
      for (int64_t i = 0; i < shape.elements(); ++i) {
        if (i % shape.paddedChannels >= shape.c) input[static_cast<size_t>(i)] = fromFloat<T>(NAN);
      }
      check(type, input, shape.pixels(), shape.c, shape.paddedChannels, 1, test::describe(shape, type));
    }
  });
}

RESNODE_TEST(batch_statistics, "row-major with and without an inner dimension") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (const Shape& shape : {Shape{1, 1, 1}, Shape{1, 3, 31}, Shape{3, 5, 33}, Shape{4, 1, 1000}, Shape{33, 2, 7},
                               Shape{300, 2, 2}, Shape{31, 33, 1}, Shape{2, 3, 256}}) {
      const auto input = test::randomMemory<T>(static_cast<size_t>(elementCount(shape)), 42);
      check(type, input, shape[0], shape[1], shape[1], shape[2], test::sizes(shape[0], shape[1], shape[2]));
    }
  });
}

RESNODE_TEST(batch_statistics, "many values are split among blocks and merged") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    test::expect(batchStatisticsScratch(type, 5000, 5, 8, 1) == 5 * 9 * 3, "5000 rows are 9 chunks");
    test::expect(batchStatisticsScratch(type, 1000, 5, 8, 1) == 0, "1000 rows are one chunk");
    check(type, test::randomMemory<T>(5000 * 8, 43), 5000, 5, 8, 1, "rows");
    check(type, test::randomMemory<T>(9 * 2 * 1777, 44), 9, 2, 2, 1777, "planes");
  });
}

RESNODE_TEST(batch_statistics, "a mean far above the deviation loses no more than the bound") {
  for (float offset : {100.0f, 1000.0f, 10000.0f}) {
    const auto input = test::randomMemory<float>(2000 * 8, 45, offset - 1, offset + 1);
    check(ElementType::float32, input, 2000, 8, 8, 1, "around " + std::to_string(offset));
    check(ElementType::float32, input, 8, 2, 2, 1000, "planes around " + std::to_string(offset));
  }
  test::Memory<float> constant(100 * 8);
  for (size_t i = 0; i < constant.size(); ++i) constant[i] = 0.1f;
  check(ElementType::float32, constant, 100, 8, 8, 1, "constant");
}

RESNODE_TEST(batch_statistics,
             "from sums and sums of squares, in place; a variance that is negative by rounding is 0") {
  constexpr int64_t kCount = 3000;
  // Mean²/variance up to 100: values of [m − 1, m + 1] have a variance of 1/3.
  for (float center : {0.0f, 0.6f, 5.8f}) {
    const auto values = test::randomMemory<float>(kCount * 5, 50, center - 1, center + 1);
    const Statistics expected = statisticsOf(kCount, 5, 1, [&](int64_t o, int64_t c, int64_t) {
      return static_cast<double>(values[static_cast<size_t>(o * 5 + c)]);
    });
    test::Memory<float> sums(5), squares(5);
    for (size_t c = 0; c < 5; ++c) sums[c] = squares[c] = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      sums[i % 5] += values[i];
      squares[i % 5] += values[i] * values[i];
    }
    launchStatisticsOfSums(sums.data(), squares.data(), kCount, 5, sums.data(), squares.data(), nullptr);
    for (size_t c = 0; c < 5; ++c) {
      test::near(sums[c], expected.mean[c], 0, 3000 * 0x1p-24 * (1 + center), "mean");
      test::near(squares[c], expected.variance[c], 3000 * 0x1p-24 * (1 + 3 * center * center), 0, "variance");
    }
  }
  test::Memory<float> sums(2), squares(2);
  sums[0] = 30.0f, squares[0] = 89.9f;  // ten threes, with a sum of squares that is too small
  sums[1] = NAN, squares[1] = NAN;
  launchStatisticsOfSums(sums.data(), squares.data(), 10, 2, sums.data(), squares.data(), nullptr);
  test::expect(sums[0] == 3 && squares[0] == 0, "no variance is negative");
  test::expect(std::isnan(sums[1]) && std::isnan(squares[1]), "not-a-number stays");
}

RESNODE_TEST(batch_statistics, "normalisation and moving sums equal Caffe's BatchNorm") {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{1, 3, 1, 1}, Shape{2, 31, 3, 3}, Shape{3, 300, 1, 2}}) {
    const int64_t channels = shape[1], inner = shape[2] * shape[3], m = shape[0] * inner;
    const auto size = static_cast<size_t>(channels);
    const auto values = test::randomMemory<float>(static_cast<size_t>(elementCount(shape)), 46);
    auto blob0 = test::randomMemory<float>(size, 47), blob1 = test::randomMemory<float>(size, 48, 0, 3);
    auto factor = test::randomMemory<float>(1, 49, 1, 900);
    BatchNorm batchNorm{0, 1, 2, 1e-3f, 0.95f};
    std::vector<float> x = test::floatsOf(values), y(x.size()), mean0 = test::floatsOf(blob0),
                       variance0 = test::floatsOf(blob1), factor0 = test::floatsOf(factor);
    resnode::reference::Arguments arguments{
        {{x.data(), &shape}}, {{y.data(), &shape}}, {mean0.data(), variance0.data(), factor0.data()}};
    test::runReference(batchNorm, arguments);

    auto mean = test::nanMemory<float>(size), variance = test::nanMemory<float>(size),
         center = test::nanMemory<float>(size), scale = test::nanMemory<float>(size),
         bias = test::nanMemory<float>(size);
    launchBatchStatistics(ElementType::float32, values.data(), shape[0], channels, channels, inner, mean.data(),
                          variance.data(), nullptr);
    launchNormalisation({mean.data(), variance.data(), nullptr, nullptr, nullptr, batchNorm.eps}, channels,
                        center.data(), scale.data(), bias.data(), nullptr);
    launchMovingStatistics(mean.data(), variance.data(), batchNorm.movingAverageFraction, m, channels, blob0.data(),
                           blob1.data(), factor.data(), nullptr);
    const std::string what = test::sizes(shape[0], shape[1], shape[2], shape[3]);
    test::nearPlain(blob0, mean0, 1e-5, 1e-6, what + " blob0");
    test::nearPlain(blob1, variance0, 1e-5, 1e-6, what + " blob1");
    test::near(factor[0], factor0[0], 1e-6, 0, what + " factor");
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t c = i / static_cast<size_t>(inner) % size;
      test::near((x[i] - center[c]) * scale[c] + bias[c], y[i], 1e-5, 1e-5 * std::max(1.0f, scale[c]),
                 what + " normalised");
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
