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
      auto fromBytes = test::nanMemory<T>(static_cast<size_t>(shape.elements()), 1);  // where four do not fit one store
      launchNchwToNhwc(SourceType::uint8, bytes.data(), type, fromBytes.data(), shape, nullptr);
      std::vector<float> expected(count);
      for (size_t i = 0; i < count; ++i) expected[i] = bytes[i];  // 0 to 255 are exact in every type
      test::nearNhwc(fromBytes, shape, expected, 0, 0, test::describe(shape, type) + " from bytes");
    }
  });
}

RESNODE_TEST(convert, "nhwc to row-major float32 is exact, and there and back again") {
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

// Caffe's DataTransformer: crop, subtract the mean at the place in the source, mirror what is written, scale.
RESNODE_TEST(convert, "images: crop, mirror, order of channels, mean and scale as Caffe's DataTransformer") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : {Nhwc{1, 1, 1, 3, 4}, Nhwc{2, 5, 7, 3, 4}, Nhwc{3, 31, 33, 1, 4}, Nhwc{1, 4, 3, 6, 8}}) {
      for (int options = 0; options < 16; ++options) {
        ImageConversion conversion;
        conversion.sourceHeight = shape.h + 3;
        conversion.sourceWidth = shape.w + 2;
        conversion.cropTop = 2;
        conversion.cropLeft = 1;
        conversion.mirror = options & 1;
        conversion.reverseChannels = options & 2;
        conversion.meanIsImage = options & 4;
        conversion.scale = options & 8 ? 0.25f : 1.0f;
        const auto mean = test::randomMemory<float>(
            static_cast<size_t>(shape.c * (conversion.meanIsImage ? shape.h * shape.w : 1)), 53, 90, 130);
        if (options != 3) conversion.mean = mean.data();
        test::Memory<uint8_t> source(
            static_cast<size_t>(shape.n * conversion.sourceHeight * conversion.sourceWidth * shape.c));
        for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 89 + 7);
        std::vector<float> expected(static_cast<size_t>(shape.pixels() * shape.c));
        for (int64_t n = 0; n < shape.n; ++n) {
          for (int64_t c = 0; c < shape.c; ++c) {
            for (int64_t y = 0; y < shape.h; ++y) {
              for (int64_t x = 0; x < shape.w; ++x) {
                const int64_t from = conversion.reverseChannels ? shape.c - 1 - c : c,
                              to = conversion.mirror ? shape.w - 1 - x : x;
                double value = source[static_cast<size_t>(
                    ((n * conversion.sourceHeight + y + 2) * conversion.sourceWidth + x + 1) * shape.c + from)];
                if (conversion.mean)
                  value -= mean[static_cast<size_t>(conversion.meanIsImage ? (c * shape.h + y) * shape.w + x : c)];
                expected[static_cast<size_t>(((n * shape.c + c) * shape.h + y) * shape.w + to)] =
                    static_cast<float>(value * conversion.scale);
              }
            }
          }
        }
        auto output = test::nanMemory<T>(static_cast<size_t>(shape.elements()));
        launchImageToNhwc(conversion, source.data(), type, output.data(), shape, nullptr);
        test::nearNhwc(output, shape, expected, test::relativeOf(type), 1e-5,
                       test::describe(shape, type) + " options " + std::to_string(options));
      }
    }
  });
}

}  // namespace
}  // namespace resnode::cuda
