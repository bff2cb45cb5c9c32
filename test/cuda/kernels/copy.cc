#include "cuda/operations/concat/copy.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// Copies rows of random bytes to a target of 0x5a, with both `offset` bytes past an aligned address.
void copies(int64_t sourceStride, int64_t targetStride, int64_t rows, int64_t bytes, size_t sourceOffset,
            size_t targetOffset) {
  const std::string what = "rows " + test::sizes(rows, bytes) + ", strides " + test::sizes(sourceStride, targetStride) +
                           ", offsets " + test::sizes(sourceOffset, targetOffset);
  const auto length = [&](int64_t stride) { return static_cast<size_t>(rows == 0 ? 0 : stride * (rows - 1) + bytes); };
  test::Memory<uint8_t> source(length(sourceStride), sourceOffset), target(length(targetStride), targetOffset);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 37 + 11);
  for (size_t i = 0; i < target.size(); ++i) target[i] = 0x5a;
  launchCopyRows(source.data(), sourceStride, target.data(), targetStride, rows, bytes, nullptr);
  for (size_t i = 0; i < target.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / targetStride, within = static_cast<int64_t>(i) % targetStride;
    const uint8_t expected = within < bytes ? source[static_cast<size_t>(row * sourceStride + within)] : 0x5a;
    test::near(target[i], expected, 0, 0, [&] { return what + " at " + std::to_string(i); });
  }
}

RESNODE_TEST(copy, "rows of every alignment, without a byte beside them") {
  for (int64_t bytes : {2, 4, 6, 8, 12, 16, 30, 48, 62, 66, 512}) {
    for (int64_t rows : {1, 3, 33}) {
      copies(bytes, bytes, rows, bytes, 0, 0);
      copies(bytes, bytes + 2, rows, bytes, 0, 0);
      copies(bytes + 32, bytes + 16, rows, bytes, 0, 0);
      copies(bytes + 8, bytes + 8, rows, bytes, 4, 8);
      copies(bytes + 2, bytes + 16, rows, bytes, 2, 6);
    }
  }
  copies(5, 7, 9, 3, 1, 0);
  copies(8, 8, 0, 8, 0, 0);
}

RESNODE_TEST(copy, "nhwc tensors concatenate along their channels as Caffe's Concat") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    const Nhwc a{2, 3, 5, 8, 8}, b{2, 3, 5, 24, 24}, whole{2, 3, 5, 32, 32};
    const auto first = test::randomNhwc<T>(a, 41), second = test::randomNhwc<T>(b, 42);
    auto output = test::nanMemory<T>(static_cast<size_t>(whole.elements()));
    const auto bytes = static_cast<int64_t>(sizeof(T));
    launchCopyRows(first.data(), 8 * bytes, output.data(), 32 * bytes, a.pixels(), 8 * bytes, nullptr);
    launchCopyRows(second.data(), 24 * bytes, output.data() + 8, 32 * bytes, b.pixels(), 24 * bytes, nullptr);
    const auto expected =
        test::reference(Concat{1}, {test::plainOf(first, a), test::plainOf(second, b)}, {2, 32, 3, 5});
    test::nearNhwc(output, whole, expected, 0, 0, test::describe(whole, type));
  });
}

}  // namespace
}  // namespace resnode::cuda
