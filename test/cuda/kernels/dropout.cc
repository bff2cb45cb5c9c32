// Dropout gives the bits of the reference loops in both layouts, so that a run may change its device.
#include "cuda/operations/dropout/dropout.h"

#include <algorithm>

#include "test/cuda/kernels/gradients.h"

namespace resnode::cuda {
namespace {

std::vector<Dropout> cases() {
  return {{0.5f, 0, 0, 0}, {0.3f, 0xfedcba98, 3, 2}, {0, 7, 1, 0}, {0.999999940395355f, 7, 1, 0}};
}

const std::vector<float> kPass = {16777215, 5};  // iteration, pass

test::Memory<float> memoryOf(const std::vector<float>& values, size_t misaligned = 0) {
  test::Memory<float> memory(values.size(), misaligned);
  std::copy(values.begin(), values.end(), memory.data());
  return memory;
}

RESNODE_TEST(dropout, "row-major, at sizes around a draw and a block, in place and misaligned: the reference's bits") {
  const auto pass = memoryOf(kPass);
  for (const Dropout& dropout : cases()) {
    for (int64_t count : {0, 1, 3, 4, 5, 7, 31, 1023, 1025, 4099}) {
      for (size_t misaligned : {0, 1}) {
        auto values = test::randomMemory<float>(static_cast<size_t>(count), 5, -2, 2, misaligned);
        const auto expected = test::reference(dropout, {{{count}, test::floatsOf(values)}, {{2}, kPass}}, {count});
        auto output = test::nanMemory<float>(values.size(), misaligned);
        const std::string what = test::sizes(count) + " misaligned by " + std::to_string(misaligned);
        launchDropout(dropout, pass.data(), values.data(), output.data(), count, nullptr);
        test::nearPlain(output, expected, 0, 0, what);
        launchDropout(dropout, pass.data(), values.data(), values.data(), count, nullptr);
        test::nearPlain(values, expected, 0, 0, what + " in place");
      }
    }
  }
}

RESNODE_TEST(dropout, "nhwc: drops the same values as N×C×H×W, padding stays zero, in place") {
  const auto pass = memoryOf(kPass);
  for (const Dropout& dropout : cases()) {
    test::eachType([&](auto element, ElementType type) {
      using T = decltype(element);
      for (const Nhwc& shape : test::oddShapes()) {
        auto input = test::randomNhwc<T>(shape, 11);
        auto output = test::nanMemory<T>(input.size());
        const test::Plain plain = test::plainOf(input, shape);
        auto expected = test::reference(dropout, {plain, {{2}, kPass}}, plain.shape);
        for (float& value : expected) value = toFloat(fromFloat<T>(value));
        launchDropout(dropout, pass.data(), type, input.data(), output.data(), shape, nullptr);
        test::nearNhwc(output, shape, expected, 0, 0, test::describe(shape, type));
        launchDropout(dropout, pass.data(), type, input.data(), input.data(), shape, nullptr);
        test::nearNhwc(input, shape, expected, 0, 0, test::describe(shape, type) + " in place");
      }
    });
  }
}

RESNODE_TEST(dropout, "a diff is dropped like its value") {
  const Dropout dropout = cases()[1];
  const Shape shape{3, 5, 7};
  const auto random = [&](unsigned seed) { return test::floatsOf(test::randomMemory<float>(3 * 5 * 7, seed)); };
  const std::vector<float> dy = random(2);
  const auto expected = test::referenceGradients(dropout, {{shape, random(1)}, {{2}, kPass}}, {shape}, {dy});
  const auto pass = memoryOf(kPass), diff = memoryOf(dy);
  auto dx = test::nanMemory<float>(dy.size());
  launchDropout(dropout, pass.data(), diff.data(), dx.data(), elementCount(shape), nullptr);
  test::nearPlain(dx, expected.dx[0], 0, 0, "dx");
}

}  // namespace
}  // namespace resnode::cuda
