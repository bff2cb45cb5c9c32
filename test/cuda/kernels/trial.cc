#include "cuda/kernels/trial.h"

#include <algorithm>

#include "test/cuda/kernels/harness.h"

namespace resnode::test {
namespace {

// The result of the comparison; the worst value is on the device.
template <class T>
float difference(cuda::ElementType type, const Memory<T>& a, const Memory<T>& b, float relative, float absolute) {
  float* worst = nullptr;
  expect(cudaMalloc(reinterpret_cast<void**>(&worst), sizeof(float)) == cudaSuccess, "device memory");
  cuda::launchDifference(type, a.data(), b.data(), static_cast<int64_t>(a.size()), relative, absolute, worst, nullptr);
  float result = -1;
  expect(cudaMemcpy(&result, worst, sizeof result, cudaMemcpyDeviceToHost) == cudaSuccess &&
             cudaFree(worst) == cudaSuccess,
         "back");
  return result;
}

}  // namespace

RESNODE_TEST(trial, "noise fills the valid values, differs by seed, and leaves the rest zero") {
  eachType([&](auto element, cuda::ElementType type) {
    using T = decltype(element);
    const cuda::NoiseShape shape{31, 9, 33, 16};
    auto one = nanMemory<T>(33 * 16), again = nanMemory<T>(33 * 16), other = nanMemory<T>(33 * 16);
    cuda::launchNoise(type, one.data(), shape, 0.5f, 1, nullptr);
    cuda::launchNoise(type, again.data(), shape, 0.5f, 1, nullptr);
    cuda::launchNoise(type, other.data(), shape, 0.5f, 2, nullptr);
    double sum = 0, squares = 0;
    int equal = 0;
    for (int row = 0; row < 33; ++row) {
      for (int column = 0; column < 16; ++column) {
        const size_t i = static_cast<size_t>(row) * 16 + column;
        const float value = cuda::toFloat(one[i]);
        const auto at = [&](const char* what) {
          return [=] { return what + std::string(", ") + nameOf(type) + " at " + sizes(row, column); };
        };
        expect(value == cuda::toFloat(again[i]), at("the same seed gives the same"));
        if (row >= 31 || column >= 9) {
          expect(value == 0, at("zero"));
          continue;
        }
        expect(std::fabs(value) <= 0.5f, at("within the scale"));
        sum += value;
        squares += value * value;
        equal += value == cuda::toFloat(other[i]);
      }
    }
    near(sum / 279, 0, 0, 0.05, "mean");
    near(std::sqrt(squares / 279), 0.5 / std::sqrt(3.0), 0, 0.03, "deviation of a uniform distribution");
    expect(equal < 20, "another seed gives other numbers");
  });
}

RESNODE_TEST(trial, "the worst difference is found anywhere, as a multiple of the tolerance") {
  eachType([&](auto element, cuda::ElementType type) {
    using T = decltype(element);
    for (size_t count : {size_t{1}, size_t{33}, size_t{1000}}) {
      auto a = randomMemory<T>(count, 1), b = randomMemory<T>(count, 1);
      near(difference(type, a, b, 0.1f, 0.5f), 0, 0, 0, "equal");
      for (size_t at : {size_t{0}, count / 2, count - 1}) {
        auto changed = randomMemory<T>(count, 1);
        changed[at] = cuda::fromFloat<T>(4);
        b[at] = cuda::fromFloat<T>(5);
        near(difference(type, changed, b, 0.1f, 0.5f), 1, 1e-6, 0, "1 apart, where 0.5 + 0.1·5 are allowed");
        for (float odd : {NAN, INFINITY, -INFINITY}) {
          changed[at] = cuda::fromFloat<T>(odd);
          expect(difference(type, changed, b, 0.1f, 0.5f) == INFINITY, "only one is " + std::to_string(odd));
          expect(difference(type, b, changed, 0.1f, 0.5f) == INFINITY, "only the other is " + std::to_string(odd));
          expect(difference(type, changed, changed, 0.1f, 0.5f) == 0, "both are " + std::to_string(odd));
        }
        b[at] = a[at];
      }
    }
  });
}

}  // namespace resnode::test
