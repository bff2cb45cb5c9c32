// Floating point ⇄ 8-bit integers: ties to even, clamped at the ends, and values that are not finite are reported.
#include "cuda/kernels/quantise.h"

#include <cmath>
#include <limits>

#include "test/cuda/kernels/flag.h"

namespace resnode::test {
namespace {

constexpr float kScale = 0.5f;  // exact in every type, so that halves stay halves

template <class T>
void checkQuantise(cuda::ElementType type, const std::vector<float>& values, const std::vector<int>& wanted,
                   cuda::ElementType integers) {
  Memory<T> from(values.size());
  for (size_t i = 0; i < values.size(); ++i) from[i] = cuda::fromFloat<T>(values[i]);
  Memory<int8_t> to(values.size());
  Flag notFinite;
  cuda::launchQuantise(type, from.data(), integers, to.data(), static_cast<int64_t>(values.size()), kScale,
                       notFinite.data(), nullptr);
  expect(notFinite.value() == 0, "all are finite");
  Memory<T> back(values.size());
  cuda::launchDequantise(integers, to.data(), type, back.data(), static_cast<int64_t>(values.size()), kScale, nullptr);
  for (size_t i = 0; i < values.size(); ++i) {
    const int made = integers == cuda::ElementType::uint8 ? to[i] + cuda::kShift : to[i];
    expect(made == wanted[i], std::to_string(values[i]) + " becomes " + std::to_string(made));
    near(cuda::toFloat(back[i]), static_cast<float>(wanted[i]) * kScale, 0, 0, "and back");
  }
}

// More than a thread's eight values, and not a multiple of them.
const std::vector<float> kValues{0, 0.25f, 0.75f, 1.25f, -0.25f, -0.75f, 63.5f, 64, 127.5f, 1000, -64, -1000};

RESNODE_TEST(quantise, "ties to even, clamped at the ends") {
  eachType([](auto element, cuda::ElementType type) {
    using T = decltype(element);
    checkQuantise<T>(type, kValues, {0, 0, 2, 2, 0, -2, 127, 127, 127, 127, -128, -128}, cuda::ElementType::int8);
    checkQuantise<T>(type, kValues, {0, 0, 2, 2, 0, 0, 127, 128, 255, 255, 0, 0}, cuda::ElementType::uint8);
  });
}

RESNODE_TEST(quantise, "NaN and infinities are reported") {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -INFINITY}) {
    for (size_t at : {size_t{3}, kValues.size() - 1}) {
      Memory<float> from(kValues.size());
      for (size_t i = 0; i < kValues.size(); ++i) from[i] = i == at ? bad : kValues[i];
      Memory<uint8_t> to(kValues.size());
      Flag notFinite;
      cuda::launchQuantise(cuda::ElementType::float32, from.data(), cuda::ElementType::uint8, to.data(),
                           static_cast<int64_t>(kValues.size()), kScale, notFinite.data(), nullptr);
      expect(notFinite.value() == 1, std::to_string(bad) + " at " + std::to_string(at));
    }
  }
}

}  // namespace
}  // namespace resnode::test
