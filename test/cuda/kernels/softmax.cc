#include "cuda/operations/softmax/softmax.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// The relative error of exp(score − maximum) is its own rounding plus half an ulp of the difference (at most 88): 1e-5.
void check(test::Memory<float>& scores, int64_t outer, int64_t channels, int64_t inner, const std::string& what) {
  const Shape shape{outer, channels, inner};
  const std::vector<float> expected =
      test::reference(Softmax{outer, channels, inner}, {{shape, test::floatsOf(scores)}}, shape);
  auto output = test::nanMemory<float>(scores.size());
  launchSoftmax(scores.data(), output.data(), outer, channels, inner, nullptr);
  test::nearPlain(output, expected, 1e-5, 1e-37, what);
  launchSoftmax(scores.data(), scores.data(), outer, channels, inner, nullptr);
  for (size_t i = 0; i < scores.size(); ++i) {
    test::near(scores[i], output[i], 0, 0, what + " in place differs at " + std::to_string(i));
  }
}

RESNODE_TEST(softmax, "short and long rows, one and many, and positions that are apart") {
  for (int64_t channels : {1, 2, 3, 31, 32, 33, 1000, 1024, 1025, 2049}) {
    for (int64_t outer : {1, 5}) {
      for (int64_t inner : {1, 3, 33}) {
        if (channels > 1000 && inner > 1) continue;
        auto scores = test::randomMemory<float>(static_cast<size_t>(outer * channels * inner), 11, -20, 20);
        check(scores, outer, channels, inner, test::sizes(outer, channels, inner));
      }
    }
  }
}

RESNODE_TEST(softmax, "large scores, equal scores, infinities and NaN") {
  for (int64_t inner : {1, 3}) {
    for (int64_t channels : {7, 40, 1100}) {
      const auto size = static_cast<size_t>(2 * channels * inner);
      auto large = test::randomMemory<float>(size, 12, -3e38f, 3e38f);
      check(large, 2, channels, inner, "large");
      test::Memory<float> equal(size);
      for (size_t i = 0; i < size; ++i) equal[i] = 88;
      check(equal, 2, channels, inner, "equal");
      for (float special : {NAN, INFINITY, -INFINITY}) {
        for (size_t count : {size_t{1}, size / 2}) {
          auto scores = test::randomMemory<float>(size, 13);
          for (size_t i = 0; i < count; ++i) scores[i] = special;
          check(scores, 2, channels, inner, "special " + std::to_string(special) + ", " + std::to_string(count));
        }
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
