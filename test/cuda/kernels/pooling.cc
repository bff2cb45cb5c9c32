#include "cuda/operations/pooling/pooling.h"

#include <cfloat>
#include <cmath>
#include <limits>

#include "cuda/kernels/quantise.h"
#include "test/cuda/kernels/flag.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

struct Windows {
  int64_t kernelH, kernelW, strideH, strideW, padH, padW;
};

// Rounded up, minus one if a window would start in the padding (pooling_layer.cpp).
int64_t pooledSize(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  const int64_t out = (size + 2 * pad - kernel + stride - 1) / stride + 1;
  return pad > 0 && (out - 1) * stride >= size + pad ? out - 1 : out;
}

PoolingShape shapeOf(const Nhwc& input, const Windows& w) {
  Nhwc output = input;
  output.h = pooledSize(input.h, w.kernelH, w.strideH, w.padH);
  output.w = pooledSize(input.w, w.kernelW, w.strideW, w.padW);
  return {input, output, w.kernelH, w.kernelW, w.strideH, w.strideW, w.padH, w.padW};
}

struct Expected {
  std::vector<float> values, mask;
};

Expected expectedOf(PoolingMethod method, const PoolingShape& shape, test::Plain input) {
  const Shape output{shape.output.n, shape.output.c, shape.output.h, shape.output.w};
  Expected expected{std::vector<float>(static_cast<size_t>(elementCount(output))),
                    std::vector<float>(static_cast<size_t>(elementCount(output)))};
  Pooling pooling{method, {shape.kernelH, shape.kernelW}, {shape.strideH, shape.strideW}, {shape.padH, shape.padW}};
  resnode::reference::Arguments arguments;
  arguments.inputs = {{input.values.data(), &input.shape}};
  arguments.outputs = {{expected.values.data(), &output}, {expected.mask.data(), &output}};
  test::runReference(pooling, arguments);
  return expected;
}

template <class T>
void roundTo(std::vector<float>& values) {
  for (float& value : values) value = toFloat(fromFloat<T>(value));
}

template <class T>
void checkMaximum(const PoolingShape& shape, ElementType type, const test::Memory<T>& input, const std::string& what) {
  Expected expected = expectedOf(PoolingMethod::max, shape, test::plainOf(input, shape.input));
  roundTo<T>(expected.values);
  for (bool wantsMask : {true, false}) {
    auto output = test::nanMemory<T>(static_cast<size_t>(shape.output.elements()));
    auto mask = test::nanMemory<float>(expected.mask.size());
    MaximaWanted wanted;
    wanted.mask = wantsMask ? mask.data() : nullptr;
    launchMaxPooling(shape, type, input.data(), output.data(), wanted, nullptr);
    test::nearNhwc(output, shape.output, expected.values, 0, 0, what);
    if (wantsMask) test::nearPlain(mask, expected.mask, 0, 0, what + " mask");
  }
}

template <class T>
void checkAverage(const PoolingShape& shape, ElementType type, const test::Memory<T>& input, double absolute,
                  const std::string& what) {
  const Expected expected = expectedOf(PoolingMethod::average, shape, test::plainOf(input, shape.input));
  auto output = test::nanMemory<T>(static_cast<size_t>(shape.output.elements()));
  launchAveragePooling(shape, type, input.data(), output.data(), nullptr);
  test::nearNhwc(output, shape.output, expected.values, test::relativeOf(type), absolute, what);
}

const std::vector<Windows> kWindows = {{3, 3, 2, 2, 0, 0}, {3, 3, 2, 2, 1, 1}, {2, 2, 2, 2, 0, 0},
                                       {3, 2, 1, 3, 1, 0}, {1, 1, 1, 1, 0, 0}, {5, 4, 3, 2, 2, 1}};

std::string describe(const PoolingShape& shape, ElementType type) {
  return test::describe(shape.input, type) + " windows " +
         test::sizes(shape.kernelH, shape.kernelW, shape.strideH, shape.strideW, shape.padH, shape.padW);
}

template <class Check>
void eachShape(Check check) {
  for (int64_t size : {1, 3, 7, 31}) {
    for (int64_t c : {1, 3, 8, 33}) {
      for (const Windows& windows : kWindows) {
        const Nhwc input{size == 31 ? 1 : 2, size, size == 3 ? 5 : size, c, padChannels(c)};
        if (windows.kernelH > input.h + 2 * windows.padH || windows.kernelW > input.w + 2 * windows.padW) continue;
        if (windows.padH >= windows.kernelH || windows.padW >= windows.kernelW) continue;
        if (size == 31 && c == 33 && windows.strideH == 1) continue;  // slow, and no other path
        check(shapeOf(input, windows));
      }
    }
  }
}

RESNODE_TEST(pooling, "MAX equals Caffe's, including mask and ties") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    eachShape([&](const PoolingShape& shape) {
      auto input = test::randomNhwc<T>(shape.input, 3, -3, 3);
      for (size_t i = 0; i < input.size(); ++i)
        input[i] = fromFloat<T>(std::round(toFloat(input[i])));  // 7 distinct values: many ties
      checkMaximum(shape, type, input, describe(shape, type));
    });
  });
}

RESNODE_TEST(pooling, "MAX to integers equals MAX followed by rounding, and reports values that are not finite") {
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& shape : {Nhwc{2, 9, 7, 64, 64}, Nhwc{1, 5, 5, 3, 4}, Nhwc{1, 6, 4, 13, 16}}) {
      for (ElementType to : {ElementType::int8, ElementType::uint8}) {
        // No bad value; an infinity; a window of only NaN, whose maximum is −FLT_MAX, which is infinite when rounded to
        // 16 bits.
        for (int bad : {0, 1, 2}) {
          const PoolingShape windows = shapeOf(shape, kWindows[1]);
          auto input = test::randomNhwc<T>(shape, 61);
          if (bad == 1) input[0] = fromFloat<T>(std::numeric_limits<float>::infinity());
          for (int64_t pixel : {int64_t{0}, int64_t{1}, shape.w, shape.w + 1}) {
            if (bad == 2) input[static_cast<size_t>(pixel * shape.paddedChannels)] = fromFloat<T>(std::nanf(""));
          }
          auto maxima = test::nanMemory<T>(static_cast<size_t>(windows.output.elements()));
          test::Memory<int8_t> expected(maxima.size()), made(maxima.size());
          test::Flag apart, fused;
          launchMaxPooling(windows, type, input.data(), maxima.data(), {}, nullptr);
          launchQuantise(type, maxima.data(), to, expected.data(), windows.output.elements(), 0.0123f, apart.data(),
                         nullptr);
          launchMaxPoolingToIntegers(windows, type, input.data(), to, made.data(), 0.0123f, fused.data(), nullptr);
          const std::string what = test::describe(shape, type) + " " + std::to_string(bad);
          const bool isReported = bad == 1 || (bad == 2 && type != ElementType::float32);
          test::expect(apart.value() == isReported && fused.value() == isReported,
                       what + ": values that are not finite are reported");
          for (size_t i = 0; i < made.size(); ++i) test::expect(made[i] == expected[i], what + test::sizes(i));
        }
      }
    }
  });
}

RESNODE_TEST(pooling, "AVE equals Caffe's: padding counts, what exceeds it does not") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    eachShape([&](const PoolingShape& shape) {
      checkAverage(shape, type, test::randomNhwc<T>(shape.input, 4), 1e-6, describe(shape, type));
    });
  });
}

RESNODE_TEST(pooling, "MAX ignores NaN and −inf: a window without a greater value gives −FLT_MAX at −1") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    const PoolingShape shape = shapeOf({1, 5, 5, 5, 8}, {3, 3, 2, 2, 1, 1});
    for (float special : {NAN, -INFINITY, INFINITY}) {
      for (size_t every : {1, 2, 7}) {
        auto input = test::randomNhwc<T>(shape.input, 5);
        for (size_t i = 0; i < input.size(); ++i) {
          if (i % 8 < 5 && i / 8 % every == 0) input[i] = fromFloat<T>(special);
        }
        checkMaximum(shape, type, input,
                     describe(shape, type) + " with " + std::to_string(special) + " every " + std::to_string(every));
        checkAverage(shape, type, input, 1e-6, describe(shape, type) + " average with " + std::to_string(special));
      }
    }
  });
}

RESNODE_TEST(pooling, "windows beyond the plane, unaligned memory, rows longer than a block") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    const PoolingShape empty = shapeOf({2, 5, 5, 5, 8}, {1, 1, 3, 3, 0, 0});  // the third window starts at 6 of 5
    checkMaximum(empty, type, test::randomNhwc<T>(empty.input, 6), describe(empty, type));
    const PoolingShape odd = shapeOf({2, 5, 4, 9, 16}, {3, 3, 2, 2, 0, 0});
    checkMaximum(odd, type, test::randomNhwc<T>(odd.input, 7, -2, 2, 1), describe(odd, type) + " unaligned");
    checkAverage(odd, type, test::randomNhwc<T>(odd.input, 7, -2, 2, 1), 1e-6, describe(odd, type) + " unaligned");
    const PoolingShape wide = shapeOf({1, 2, 67, 121, 128}, {2, 2, 1, 1, 0, 0});
    checkMaximum(wide, type, test::randomNhwc<T>(wide.input, 8), describe(wide, type));
  });
}

RESNODE_TEST(pooling, "AVE over the whole plane: a reduction, with padding and with windows that exceed it") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    for (const Nhwc& input : test::oddShapes()) {
      for (int64_t pad : {0, 1}) {
        const int64_t over = pad == 0 ? 0 : 2;
        const PoolingShape shape{
            input, {input.n, 1, 1, input.c, input.paddedChannels}, input.h + over, input.w + 2 * over, 1, 1, pad, pad};
        const size_t misaligned = input.c == 31 ? 1 : 0;
        // Sums of values around 1, so that errors of the addition show in the result.
        checkAverage(shape, type, test::randomNhwc<T>(input, 9, 0.5, 1.5, misaligned), 0, describe(shape, type));
      }
    }
  });
}

}  // namespace
}  // namespace resnode::cuda
