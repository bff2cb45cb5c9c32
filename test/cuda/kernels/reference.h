// The specification (native/reference) for kernel tests, and activations in its layout and in nhwc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "native/reference/operations.h"
#include "test/cuda/kernels/harness.h"

namespace resnode::test {

struct Plain {
  Shape shape;
  std::vector<float> values;
};

// Runs one operation with arguments whose views are set.
void runReference(Attributes attributes, resnode::reference::Arguments arguments, const Program& program = {});

// Runs one operation, with parameters in the order of their ParameterIds.
std::vector<float> reference(Attributes attributes, std::vector<Plain> inputs, const Shape& output,
                             std::vector<std::vector<float>> parameters = {});

struct Gradients {
  std::vector<std::vector<float>> y, dx, dw;
};

// Runs one operation and its gradient, with all diffs requested. `outputs`: the shapes of its outputs; `dy`: one for
// each, empty: absent; `learned`: the shapes of its parameters' diffs, in order. Parameters in the order of their
// ParameterIds.
Gradients referenceGradients(Attributes attributes, std::vector<Plain> x, const std::vector<Shape>& outputs,
                             std::vector<std::vector<float>> dy, std::vector<std::vector<float>> parameters = {},
                             const std::vector<Shape>& learned = {});

// `shape`: outer, channels, inner.
SoftmaxLoss softmaxLoss(const Shape& shape, std::optional<int64_t> ignoreLabel = std::nullopt,
                        Normalization normalization = Normalization::valid);
// The same with smoothed targets, with class weights, and with both.
std::vector<SoftmaxLoss> weighted(const SoftmaxLoss& loss);

// T is float, __half or __nv_bfloat16 from here on.
template <class T>
std::vector<float> floatsOf(const Memory<T>& memory);

// Calls visit(index, pixel, channel, index in row-major N×C×H×W), also for the padding's channels, for which the last
// one is not valid.
template <class Visit>
void forEachNhwc(const cuda::Nhwc& shape, const Visit& visit) {
  const int64_t plane = shape.h * shape.w;
  int64_t i = 0, pixel = 0;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t at = 0; at < plane; ++at, ++pixel) {
      for (int64_t c = 0; c < shape.paddedChannels; ++c, ++i) visit(i, pixel, c, (n * shape.c + c) * plane + at);
    }
  }
}

// nhwc with zeros in the padding; values are from [low, high), rounded to T.
template <class T>
Memory<T> randomNhwc(const cuda::Nhwc& shape, unsigned seed, float low = -2, float high = 2, size_t misaligned = 0);

// nhwc → row-major N×C×H×W.
template <class T>
Plain plainOf(const Memory<T>& memory, const cuda::Nhwc& shape);

// Compares nhwc with row-major N×C×H×W, and its padding with zero.
template <class T>
void nearNhwc(const Memory<T>& actual, const cuda::Nhwc& shape, const std::vector<float>& expected, double relative,
              double absolute, const std::string& what);

template <class T>
void nearPlain(const Memory<T>& actual, const std::vector<float>& expected, double relative, double absolute,
               const std::string& what);

std::string describe(const cuda::Nhwc& shape, cuda::ElementType type);

// Shapes with every kind of remainder: channels that are not a multiple of 8, images of 3 in 4, a single pixel.
std::vector<cuda::Nhwc> oddShapes();

}  // namespace resnode::test
