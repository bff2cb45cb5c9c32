#include "cuda/operations/inner-product/inner-product.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// The last step: nothing, a ReLU, a Clip, or a PReLU with one slope or one per output.
enum class Last { none, relu, clip, slope, slopes };
Last lastOf(int64_t number) { return static_cast<Last>(number % 5); }

struct Options {
  bool bias = true;
  Last last = Last::none;
  int64_t gap = 0;  // unused elements between the input's rows
  size_t misaligned = 0;
};

// |error| ≤ (the number of terms that one lane or thread adds in sequence + 16)·2⁻²⁴·Σ|x·w|; values are up to 2, so k·4
// bounds the sum.
template <class In, class Weight>
void check(ElementType inputType, ElementType weightsType, int64_t rows, int64_t k, int64_t outputs,
           const Options& options) {
  const int64_t stride = k + options.gap;
  auto input = test::randomMemory<In>(static_cast<size_t>(rows * stride), 51, -2, 2, options.misaligned);
  const auto weights = test::randomMemory<Weight>(static_cast<size_t>(outputs * k), 52, -2, 2, options.misaligned);
  const auto bias = test::randomMemory<float>(static_cast<size_t>(outputs), 53);
  std::vector<float> dense;
  for (int64_t i = 0; i < rows * stride; ++i) {
    if (i % stride < k) dense.push_back(toFloat(input[static_cast<size_t>(i)]));
    else input[static_cast<size_t>(i)] = fromFloat<In>(NAN);
  }
  InnerProduct layer;
  layer.weights = 0;
  layer.numOutput = outputs;
  if (options.bias) layer.bias = 1;
  Activation activation;
  if (options.last == Last::relu) {
    layer.relu = FusedRelu{0.25f};
    activation.slope = 0.25f;
  }
  if (options.last == Last::clip) layer.clip = activation.most = 0.75f;
  activation.isShared = options.last == Last::slope;
  const bool hasSlopes = options.last == Last::slopes || activation.isShared;
  const auto slopes = test::randomMemory<float>(static_cast<size_t>(!hasSlopes            ? 0
                                                                    : activation.isShared ? 1
                                                                                          : outputs),
                                                54, -1, 1);
  if (hasSlopes) {
    layer.slopes = 2;
    activation.slopes = slopes.data();
  }
  const auto expected = test::reference(layer, {{{rows, k}, dense}}, {rows, outputs},
                                        {test::floatsOf(weights), test::floatsOf(bias), test::floatsOf(slopes)});
  auto output = test::nanMemory<float>(static_cast<size_t>(rows * outputs));
  launchInnerProduct(inputType, weightsType, input.data(), stride, weights.data(), options.bias ? bias.data() : nullptr,
                     activation, output.data(), rows, k, outputs, nullptr);
  const double bound = (static_cast<double>(k) / 4 + 16) * 0x1p-24 * (4 * static_cast<double>(k) + 2);
  test::nearPlain(output, expected, 1e-6, bound < 1e-4 ? bound : 1e-4,
                  std::string(test::nameOf(inputType)) + " × " + test::nameOf(weightsType) + " " +
                      test::sizes(rows, k, outputs) + " gap " + std::to_string(options.gap) + " misaligned " +
                      std::to_string(options.misaligned));
}

RESNODE_TEST(inner_product, "few rows: a warp an output") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (int64_t rows : {1, 2, 3, 8}) {
      for (int64_t k : {1, 3, 8, 31, 33, 264, 512}) {
        for (int64_t outputs : {1, 3, 33}) check<T, T>(type, type, rows, k, outputs, {outputs != 3, lastOf(k + rows)});
      }
    }
  });
}

RESNODE_TEST(inner_product, "many rows: tiles") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (int64_t rows : {9, 31, 33, 65}) {
      for (int64_t k : {1, 8, 33, 64, 72, 200}) {
        for (int64_t outputs : {1, 31, 33})
          check<T, T>(type, type, rows, k, outputs, {outputs != 31, lastOf(k + rows)});
      }
    }
  });
}

RESNODE_TEST(inner_product, "rows apart, unaligned memory, no k at all") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (int64_t rows : {1, 5, 33}) {
      check<T, T>(type, type, rows, 64, 5, {true, Last::none, 8});
      check<T, T>(type, type, rows, 64, 5, {true, Last::none, 1});
      check<T, T>(type, type, rows, 61, 5, {true, Last::none, 3});
      check<T, T>(type, type, rows, 64, 5, {true, Last::none, 0, 1});
      check<T, T>(type, type, rows, 0, 5, {true, Last::relu, 8});
    }
  });
}

RESNODE_TEST(inner_product, "float32 rows with weights in 16 bits") {
  for (int64_t rows : {1, 3, 33}) {
    for (int64_t k : {3, 64, 100}) {
      if (test::isTested(ElementType::float16))
        check<float, __half>(ElementType::float32, ElementType::float16, rows, k, 33, {});
      if (test::isTested(ElementType::bfloat16))
        check<float, __nv_bfloat16>(ElementType::float32, ElementType::bfloat16, rows, k, 33, {true, Last::slopes});
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
