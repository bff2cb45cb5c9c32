#include "cuda/kernels/convert.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

std::vector<Nhwc> shapes() {
  std::vector<Nhwc> all = test::oddShapes();
  all.push_back({2, 31, 33, 65, 72});
  all.push_back({1, 32, 32, 32, 32});
  all.push_back({5, 1, 1, 1000, 1000});
  return all;
}

RESNODE_TEST(convert, "row-major float32 and bytes to nhwc, with zeros in the padding") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : shapes()) {
      const auto count = static_cast<size_t>(shape.pixels() * shape.c);
      const auto floats = test::randomMemory<float>(count, 51);
      test::Memory<uint8_t> bytes(count, 1);
      for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 151 + 3);
      auto output = test::nanMemory<T>(static_cast<size_t>(shape.elements()));
      launchNchwToNhwc(SourceType::float32, floats.data(), type, output.data(), shape, nullptr);
      test::nearNhwc(output, shape, test::floatsOf(floats), type == ElementType::float32 ? 0 : test::relativeOf(type),
                     1e-6, test::describe(shape, type));
      // Where four do not fit into one store.
      auto fromBytes = test::nanMemory<T>(static_cast<size_t>(shape.elements()), 1);
      launchNchwToNhwc(SourceType::uint8, bytes.data(), type, fromBytes.data(), shape, nullptr);
      std::vector<float> expected(count);
      for (size_t i = 0; i < count; ++i) expected[i] = bytes[i];  // 0 to 255 are exact in every type
      test::nearNhwc(fromBytes, shape, expected, 0, 0, test::describe(shape, type) + " from bytes");
    }
  });
}

RESNODE_TEST(convert, "nhwc to row-major float32 is exact, and so is the round trip") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : shapes()) {
      const auto input = test::randomNhwc<T>(shape, 52);
      auto plain = test::nanMemory<float>(static_cast<size_t>(shape.pixels() * shape.c));
      launchNhwcToNchw(type, input.data(), shape, plain.data(), nullptr);
      test::nearPlain(plain, test::plainOf(input, shape).values, 0, 0, test::describe(shape, type));
      auto back = test::nanMemory<T>(input.size());
      launchNchwToNhwc(SourceType::float32, plain.data(), type, back.data(), shape, nullptr);
      test::nearPlain(back, test::floatsOf(input), 0, 0, test::describe(shape, type) + " and back");
    }
  });
}

RESNODE_TEST(convert, "bytes to floats") {
  for (int64_t count : {0, 1, 3, 4, 5, 31, 33, 1025}) {
    for (size_t misaligned : {0, 1}) {
      test::Memory<uint8_t> bytes(static_cast<size_t>(count), misaligned);
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(255 - i);
      auto floats = test::nanMemory<float>(bytes.size());
      launchBytesToFloat(bytes.data(), floats.data(), count, nullptr);
      for (size_t i = 0; i < bytes.size(); ++i) test::expect(floats[i] == bytes[i], test::sizes(count, misaligned, i));
    }
  }
}

// (byte − mean) · scale in float32, rounded once: the numbers of native/image/prepare.cc.
RESNODE_TEST(convert, "bytes of images are normalised to the bits of floats that the host prepares, in every layout") {
  const Normalisation normalisation{{103.94f, 116.78f, 123.68f, 1.5f}, {0.017f, 1, 0.25f, -3}};
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : {Nhwc{1, 1, 1, 3, 4}, Nhwc{2, 5, 7, 3, 4}, Nhwc{3, 32, 34, 1, 4}, Nhwc{2, 4, 6, 4, 4}}) {
      const auto count = static_cast<size_t>(shape.pixels() * shape.c);
      const int64_t plane = shape.h * shape.w;
      test::Memory<uint8_t> bytes(count, 1);
      test::Memory<float> prepared(count);
      for (size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<uint8_t>(i * 89 + 7);
        const auto c = static_cast<int64_t>(i) / plane % shape.c;
        prepared[i] = (static_cast<float>(bytes[i]) - normalisation.mean[c]) * normalisation.scale[c];
      }
      for (size_t misaligned : {0, 1}) {  // four channels that do not fit into one store use tiles
        auto expected = test::nanMemory<T>(static_cast<size_t>(shape.elements()), misaligned);
        auto output = test::nanMemory<T>(expected.size(), misaligned);
        launchNchwToNhwc(SourceType::float32, prepared.data(), type, expected.data(), shape, nullptr);
        launchNchwToNhwc(SourceType::uint8, bytes.data(), type, output.data(), shape, nullptr, normalisation);
        test::nearPlain(output, test::floatsOf(expected), 0, 0, test::describe(shape, type));
      }
      if (shape.h % 2 == 0 && shape.w % 2 == 0) {
        auto expected = test::nanMemory<T>(static_cast<size_t>(foldedImages(shape).elements()));
        auto output = test::nanMemory<T>(expected.size());
        launchNchwToFolded(SourceType::float32, prepared.data(), type, expected.data(), shape, nullptr);
        launchNchwToFolded(SourceType::uint8, bytes.data(), type, output.data(), shape, nullptr, normalisation);
        test::nearPlain(output, test::floatsOf(expected), 0, 0, test::describe(shape, type) + " in blocks");
      }
      auto plain = test::nanMemory<float>(count);
      launchNormalise(bytes.data(), plain.data(), static_cast<int64_t>(count), shape.c, plane, normalisation, nullptr);
      test::nearPlain(plain, test::floatsOf(prepared), 0, 0, test::describe(shape, type) + " plain");
    }
  });
}

}  // namespace
}  // namespace resnode::cuda
