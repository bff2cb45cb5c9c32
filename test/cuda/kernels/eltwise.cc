#include "cuda/operations/eltwise/eltwise.h"

#include "native/core/error.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

template <class T>
void compare(EltwiseOperation operation, ElementType type, int count, int64_t elements, bool coefficients, bool relu,
             int into, size_t misaligned) {
  std::vector<test::Memory<T>> inputs;
  std::vector<const void*> pointers;
  std::vector<test::Plain> plain;
  std::vector<float> factors;
  for (int k = 0; k < count; ++k) {
    inputs.push_back(test::randomMemory<T>(static_cast<size_t>(elements), static_cast<unsigned>(31 + k), -1.5f, 1.5f,
                                           k == 1 ? misaligned : 0));
    pointers.push_back(inputs.back().data());
    plain.push_back({{elements}, test::floatsOf(inputs.back())});
    factors.push_back(coefficients ? 0.5f - static_cast<float>(k) : 1.0f);
  }
  auto separate = test::nanMemory<T>(static_cast<size_t>(elements));
  auto& output = into < 0 ? separate : inputs[static_cast<size_t>(into)];
  Eltwise layer;
  layer.operation = operation == EltwiseOperation::sum    ? EltwiseKind::sum
                    : operation == EltwiseOperation::prod ? EltwiseKind::prod
                                                          : EltwiseKind::max;
  layer.coefficients = factors;
  if (relu) layer.relu = FusedRelu{0.25f};
  const auto expected = test::reference(layer, plain, {elements});
  launchEltwise({operation, count, pointers.data(), coefficients ? factors.data() : nullptr, relu, 0.25f}, type,
                output.data(), elements, nullptr);
  test::nearPlain(output, expected, test::relativeOf(type), 1e-6 * count * count,
                  std::string(test::nameOf(type)) + " operation " + std::to_string(static_cast<int>(operation)) + ", " +
                      std::to_string(count) + " inputs of " + std::to_string(elements) + ", into " +
                      std::to_string(into));
}

RESNODE_TEST(eltwise, "sum, prod and max of 2 to 9 inputs, in place on any of them, misaligned") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (EltwiseOperation operation : {EltwiseOperation::sum, EltwiseOperation::prod, EltwiseOperation::max}) {
      for (int64_t elements : {1, 3, 7, 8, 31, 33, 2049}) {
        for (int count : {2, 3, 8, 9}) {
          for (int into : {-1, 0, count - 1}) {
            compare<T>(operation, type, count, elements, false, into == 0, into, 0);
            compare<T>(operation, type, count, elements, operation == EltwiseOperation::sum, into != 0, into, 1);
          }
        }
      }
    }
  });
}

RESNODE_TEST(eltwise, "128 inputs, but no more") {
  compare<float>(EltwiseOperation::sum, ElementType::float32, 128, 5, true, false, 127, 0);
  compare<__half>(EltwiseOperation::max, ElementType::float16, 128, 5, false, false, 100, 0);
  const std::vector<const void*> pointers(129, nullptr);
  try {
    launchEltwise({EltwiseOperation::sum, 129, pointers.data()}, ElementType::float32, nullptr, 1, nullptr);
  } catch (const Error& error) {
    return test::expect(error.code() == "device/unsupported", error.code());
  }
  throw test::Failure("129 inputs were taken");
}

RESNODE_TEST(eltwise, "one tensor given twice; NaN as in the specification") {
  test::Memory<float> a(4), b(4), output(4);
  const float as[] = {NAN, 1, -INFINITY, 2}, bs[] = {1, NAN, 3, -2};
  for (int i = 0; i < 4; ++i) {
    a[i] = as[i];
    b[i] = bs[i];
  }
  for (EltwiseOperation operation : {EltwiseOperation::sum, EltwiseOperation::prod, EltwiseOperation::max}) {
    const void* pointers[] = {a.data(), b.data(), a.data()};
    Eltwise layer{operation == EltwiseOperation::sum    ? EltwiseKind::sum
                  : operation == EltwiseOperation::prod ? EltwiseKind::prod
                                                        : EltwiseKind::max,
                  {1, 1, 1},
                  {}};
    const auto values = test::floatsOf(a);
    launchEltwise({operation, 3, pointers}, ElementType::float32, output.data(), 4, nullptr);
    test::nearPlain(output, test::reference(layer, {{{4}, values}, {{4}, test::floatsOf(b)}, {{4}, values}}, {4}), 1e-6,
                    0, "operation " + std::to_string(static_cast<int>(operation)));
  }
}

}  // namespace
}  // namespace resnode::cuda
