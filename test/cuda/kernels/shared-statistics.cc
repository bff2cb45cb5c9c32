// BatchNorm over the batches of several processes: two halves that share their statistics equal the whole.
#include <algorithm>
#include <array>

#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/batch-norm/batch-statistics.h"
#include "test/cuda/kernels/gradients.h"

namespace resnode::cuda {
namespace {

using Two = std::array<std::vector<float>, 2>;

// Leaves the average of both in each.
void average(float* a, float* b, size_t count) {
  for (size_t i = 0; i < count; ++i) a[i] = b[i] = (a[i] + b[i]) / 2;
}

test::Memory<float> memoryOf(const std::vector<float>& values) {
  test::Memory<float> memory(values.size());
  std::copy(values.begin(), values.end(), memory.data());
  return memory;
}

RESNODE_TEST(shared_statistics,
             "two halves of a batch have its statistics and its gradient, and their parameters' diffs add up") {
  for (int64_t c : {1, 3, 5, 8, 33}) {
    const Nhwc half{2, 3, 5, c, padChannels(c)};
    const Shape whole{4, c, 3, 5};
    const size_t channels = static_cast<size_t>(c), count = static_cast<size_t>(elementCount(whole)) / 2;
    // Halves whose means differ.
    std::vector<float> x = test::floatsOf(test::randomMemory<float>(2 * count, 1));
    for (size_t i = count; i < 2 * count; ++i) x[i] += 3;
    const std::vector<float> dy = test::floatsOf(test::randomMemory<float>(2 * count, 2)),
                             gamma = test::floatsOf(test::randomMemory<float>(channels, 3));
    BatchNorm batchNorm;
    batchNorm.mean = 0, batchNorm.variance = 1, batchNorm.factor = 2, batchNorm.scale = 3, batchNorm.bias = 4;
    batchNorm.update = false;
    const std::vector<float> zeros(channels);
    const auto expected = test::referenceGradients(batchNorm, {{whole, x}}, {whole, {c}, {c}}, {dy},
                                                   {zeros, zeros, {1.0f}, gamma, zeros}, {{c}, {c}});

    const auto halfOf = [&](const std::vector<float>& all, size_t i) {
      return test::nhwcOf<float>(
          {all.begin() + static_cast<ptrdiff_t>(i * count), all.begin() + static_cast<ptrdiff_t>((i + 1) * count)},
          half);
    };
    const test::Memory<float> halves[] = {halfOf(x, 0), halfOf(x, 1)};
    auto mean = memoryOf(zeros), other = memoryOf(zeros);
    test::Memory<float> own[] = {memoryOf(zeros), memoryOf(zeros)}, variance[] = {memoryOf(zeros), memoryOf(zeros)};
    for (size_t i = 0; i < 2; ++i) {
      launchBatchStatistics(ElementType::float32, halves[i].data(), half.pixels(), c, half.paddedChannels, 1,
                            own[i].data(), variance[i].data(), nullptr);
      std::copy_n(own[i].data(), channels, i == 0 ? mean.data() : other.data());
    }
    average(mean.data(), other.data(), channels);
    for (size_t i = 0; i < 2; ++i) launchVarianceAround(mean.data(), own[i].data(), variance[i].data(), c, nullptr);
    average(variance[0].data(), variance[1].data(), channels);
    const std::string what = test::sizes(c) + " channels";
    test::nearPlain(mean, expected.y[1], 1e-5, 1e-6, what + ": mean");
    test::nearPlain(variance[0], expected.y[2], 1e-5, 1e-6, what + ": variance");

    const auto placedGamma = memoryOf(gamma);
    const ChannelShape shape{half.pixels(), {c, half.paddedChannels, 1}};
    Two sums, diffs[2];
    // Once to compute each half's sums, and once with the shared ones.
    for (bool isShared : {false, true}) {
      for (size_t i = 0; i < 2; ++i) {
        const auto diff = halfOf(dy, i);
        auto dx = test::nanMemory<float>(static_cast<size_t>(half.elements()));
        auto dScale = test::nanMemory<float>(channels), dBias = test::nanMemory<float>(channels);
        auto scratch = test::scratchOf(batchNormGradientScratch(shape));
        BatchNormGradient of;
        of.behind.dy = diff.data();
        of.x = halves[i].data();
        of.mean = mean.data();
        of.variance = variance[0].data();
        of.gamma = placedGamma.data();
        of.eps = batchNorm.eps;
        of.dx = dx.data();
        of.dScale = dScale.data();
        of.dBias = dBias.data();
        of.share = [&](const float* sum, const float* product, float* shared) {
          if (!isShared) {
            sums[i].assign(sum, sum + channels);
            sums[i].insert(sums[i].end(), product, product + channels);
          }
          std::copy(sums[i].begin(), sums[i].end(), shared);
        };
        launchBatchNormGradient(of, shape, scratch.data(), nullptr);
        if (!isShared) continue;
        const std::vector<float> expectedDx(expected.dx[0].begin() + static_cast<ptrdiff_t>(i * count),
                                            expected.dx[0].begin() + static_cast<ptrdiff_t>((i + 1) * count));
        test::nearNhwc(dx, half, expectedDx, 1e-4, 1e-5, what + ": dx of half " + std::to_string(i));
        diffs[i] = {test::floatsOf(dScale), test::floatsOf(dBias)};
      }
      if (!isShared) average(sums[0].data(), sums[1].data(), 2 * channels);
    }
    for (size_t which = 0; which < 2; ++which) {
      auto sum = memoryOf(diffs[0][which]);
      for (size_t k = 0; k < channels; ++k) sum[k] += diffs[1][which][k];
      test::nearPlain(sum, expected.dw[which], 1e-4, 1e-4, what + (which == 0 ? ": dScale" : ": dBias"));
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
