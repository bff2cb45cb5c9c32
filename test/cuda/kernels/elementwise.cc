#include "cuda/operations/elementwise/elementwise.h"
#include "cuda/operations/prelu/prelu.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

struct UnaryCase {
  const char* name;
  Elementwise unary;
  Attributes attributes;
  float low = -2;
};

std::vector<UnaryCase> unaryCases() {
  return {
      {"relu", Relu{0}, Relu{0}},
      {"leaky relu", Relu{0.1f}, Relu{0.1f}},
      {"elu", Elu{0.7f}, Elu{0.7f}},
      {"sigmoid", Sigmoid{}, Sigmoid{}},
      {"tanh", Tanh{}, Tanh{}},
      {"absval", AbsVal{}, AbsVal{}},
      {"power 1", Power{1, 2, 0.5f}, Power{1, 2, 0.5f}},
      {"power 0", Power{0, 2, 0.5f}, Power{0, 2, 0.5f}},
      {"power 2", Power{2, -1.5f, 0.25f}, Power{2, -1.5f, 0.25f}},
      {"power 0.5", Power{0.5f, 1, 3}, Power{0.5f, 1, 3}},
      {"power of negatives", Power{0.3f, 1, 0}, Power{0.3f, 1, 0}},  // NaN, as in Caffe's pow
  };
}

RESNODE_TEST(unary, "each function on nhwc, padding stays zero, in place and misaligned") {
  for (const UnaryCase& c : unaryCases()) {
    test::eachType([&](auto element, ElementType type) {
      using T = decltype(element);
      for (const Nhwc& shape : test::oddShapes()) {
        for (size_t misaligned : {0, 1}) {
          const std::string what =
              std::string(c.name) + " " + test::describe(shape, type) + " misaligned by " + std::to_string(misaligned);
          auto input = test::randomNhwc<T>(shape, 11, -2, 2, misaligned);
          auto output = test::nanMemory<T>(input.size());
          const test::Plain plain = test::plainOf(input, shape);
          const auto expected = test::reference(c.attributes, {plain}, plain.shape);
          const double relative = test::relativeOf(type);
          launchUnary(c.unary, type, input.data(), output.data(), shape.elements(), shape.c, shape.paddedChannels,
                      nullptr);
          test::nearNhwc(output, shape, expected, relative, 1e-6, what);
          launchUnary(c.unary, type, input.data(), input.data(), shape.elements(), shape.c, shape.paddedChannels,
                      nullptr);
          test::nearNhwc(input, shape, expected, relative, 1e-6, what + " in place");
        }
      }
    });
  }
}

RESNODE_TEST(unary, "row-major, at sizes around a vector and a block, and empty") {
  for (int64_t elements : {0, 1, 3, 4, 5, 31, 33, 1023, 1025}) {
    const auto input = test::randomMemory<float>(static_cast<size_t>(elements), 5);
    auto output = test::nanMemory<float>(input.size());
    launchUnary(Sigmoid{}, ElementType::float32, input.data(), output.data(), elements, 1, 1, nullptr);
    test::nearPlain(output, test::reference(Sigmoid{}, {{{elements}, test::floatsOf(input)}}, {elements}), 1e-5, 0,
                    test::sizes(elements));
  }
}

RESNODE_TEST(unary, "values that are not finite") {
  const std::vector<float> values = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 100.0f, -100.0f};
  for (const UnaryCase& c : unaryCases()) {
    test::Memory<float> input(values.size());
    for (size_t i = 0; i < values.size(); ++i) input[i] = values[i];
    auto output = test::nanMemory<float>(values.size());
    const auto count = static_cast<int64_t>(values.size());
    launchUnary(c.unary, ElementType::float32, input.data(), output.data(), count, 1, 1, nullptr);
    test::nearPlain(output, test::reference(c.attributes, {{{count}, values}}, {count}), 1e-5, 1e-30, c.name);
  }
}

RESNODE_TEST(prelu, "one slope per channel or one for all, nhwc") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : test::oddShapes()) {
      for (bool shared : {false, true}) {
        const auto input = test::randomNhwc<T>(shape, 3);
        const auto slope = test::randomMemory<float>(static_cast<size_t>(shared ? 1 : shape.c), 4);
        auto output = test::nanMemory<T>(input.size());
        launchPRelu(type, input.data(), slope.data(), shared, output.data(), shape.pixels(), shape.c,
                    shape.paddedChannels, 1, nullptr);
        const test::Plain plain = test::plainOf(input, shape);
        const auto expected = test::reference(PRelu{0, shared}, {plain}, plain.shape, {test::floatsOf(slope)});
        test::nearNhwc(output, shape, expected, test::relativeOf(type), 1e-6,
                       test::describe(shape, type) + (shared ? " shared" : ""));
      }
    }
  });
}

RESNODE_TEST(prelu, "row-major with an inner dimension, in place and misaligned") {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 3, 1}, Shape{3, 31, 33}, Shape{2, 5, 4}}) {
    for (size_t misaligned : {0, 1}) {
      auto values = test::randomMemory<float>(static_cast<size_t>(elementCount(shape)), 6, -2, 2, misaligned);
      const auto slope = test::randomMemory<float>(static_cast<size_t>(shape[1]), 7);
      const auto expected =
          test::reference(PRelu{0, false}, {{shape, test::floatsOf(values)}}, shape, {test::floatsOf(slope)});
      launchPRelu(ElementType::float32, values.data(), slope.data(), false, values.data(), shape[0], shape[1], shape[1],
                  shape[2], nullptr);
      test::nearPlain(values, expected, 1e-5, 0, test::sizes(shape[0], shape[1], shape[2]));
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
