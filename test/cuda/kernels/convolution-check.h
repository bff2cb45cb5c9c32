// Runs a convolution kernel on random data and compares each output with native/reference.
//
// The bound for an output y = Σ a·b + bias + residual over K products, with S = Σ|a·b| + |bias| + |residual| from the
// reference itself, run on absolute values:
//   (K + 3)·2⁻²³·S   float32 sums in any order; 2⁻²³ instead of 2⁻²⁴, because tensor cores truncate where others round
//   2·2⁻¹¹·S         tf32 only: both factors are rounded to 11 bits; products of 16-bit factors are exact in float32
//   2⁻ᵖ·|y|          one rounding of the result: p = 24, 11 (float16, and 2⁻²⁵ if it is subnormal), 8 (bfloat16)
// Activations with slopes from −1 to 1 add nothing. A missing product changes the result by about S/K, which is noticed for
// every K here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cuda/convolution/problem.h"
#include "test/cuda/kernels/harness.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::test {

struct ConvolutionCase {
  const char* name;
  int64_t n, c, h, w, filters, r, s, stride, pad, dilation, group;
  int64_t strideW = 0, padW = 0, dilationW = 0;  // 0: as in height
};

// The convolutions of ResNets, small; then all other forms that Caffe's layer allows.
inline const std::vector<ConvolutionCase>& residualNetCases() {
  static const std::vector<ConvolutionCase> cases{{"1×1", 2, 32, 5, 7, 48, 1, 1, 1, 0, 1, 1},
                                                  {"1×1 stride 2", 1, 40, 7, 5, 72, 1, 1, 2, 0, 1, 1},
                                                  {"3×3 pad 1", 1, 24, 7, 6, 33, 3, 3, 1, 1, 1, 1},
                                                  {"3×3 stride 2 pad 1", 3, 16, 9, 5, 24, 3, 3, 2, 1, 1, 1},
                                                  {"7×7 stride 2 pad 3", 1, 3, 17, 19, 40, 7, 7, 2, 3, 1, 1}};
  return cases;
}
inline const std::vector<ConvolutionCase>& oddCases() {
  static const std::vector<ConvolutionCase> cases{
      {"one of everything", 1, 1, 1, 1, 5, 1, 1, 1, 0, 1, 1},
      {"odd channels", 1, 31, 3, 33, 9, 3, 3, 1, 1, 1, 1},
      {"dilated", 1, 8, 9, 11, 16, 3, 3, 1, 2, 2, 1},
      {"padding wider than the window", 2, 4, 3, 3, 17, 1, 1, 1, 2, 1, 1},
      {"uneven in height and width", 2, 9, 6, 13, 12, 2, 5, 1, 0, 1, 1, 3, 2, 2},
      {"filter larger than the image", 1, 6, 2, 3, 7, 5, 5, 1, 2, 1, 1}};
  return cases;
}
inline const std::vector<ConvolutionCase>& groupedCases() {
  static const std::vector<ConvolutionCase> cases{{"32 groups of 4", 1, 128, 4, 5, 128, 3, 3, 1, 1, 1, 32},
                                                  {"groups of 8", 2, 16, 5, 3, 24, 3, 3, 2, 1, 1, 2},
                                                  {"groups of 3", 1, 9, 4, 4, 6, 3, 3, 1, 1, 1, 3},
                                                  {"depthwise", 1, 33, 5, 4, 33, 3, 3, 1, 1, 1, 33},
                                                  {"few filters", 1, 12, 4, 5, 3, 3, 3, 1, 1, 2, 1}};
  return cases;
}
inline const std::vector<ConvolutionCase>& depthwiseCases() {
  static const std::vector<ConvolutionCase> cases{
      {"of 3 channels", 2, 3, 5, 4, 3, 3, 3, 1, 1, 1, 3},
      {"stride 2", 1, 40, 7, 9, 40, 3, 3, 2, 1, 1, 40},
      {"dilated, uneven", 1, 10, 6, 11, 10, 2, 5, 1, 0, 1, 10, 3, 2, 2},
      {"more channels than a block", 1, 264, 3, 5, 264, 3, 3, 1, 1, 1, 264},
      {"4×4 stride 2, as bilinear upsampling", 1, 12, 8, 6, 12, 4, 4, 2, 1, 1, 12},
      {"16×16 stride 8", 1, 12, 24, 32, 12, 16, 16, 8, 4, 1, 12}};
  return cases;
}

// In the reference's form, with weights in parameter 0.
Convolution convolutionOf(const cuda::ConvolutionProblem& problem);

enum class Slopes { none, shared, perChannel };  // of a PReLU

struct ConvolutionExtras {
  bool bias = false, residual = false, inPlace = false, relu = false;
  float slope = 0;
  float clip = 0;
  Slopes slopes = Slopes::none;
  int64_t residualStrideH = 1, residualStrideW = 1;
};

// None, then all of them, with each activation.
inline const std::vector<ConvolutionExtras>& allExtras() {
  static const std::vector<ConvolutionExtras> extras{{},
                                                     {true, false, false, true, 0},
                                                     {true, true, true, true, 0.25f},
                                                     {true, true, false, false, 0, 0.75f, Slopes::none, 2, 3},
                                                     {false, true, false, false, 0, 0, Slopes::shared, 1, 2},
                                                     {true, true, true, false, 0, 0, Slopes::perChannel}};
  return extras;
}

using ConvolutionLaunch = std::function<void(const cuda::ConvolutionProblem&, const cuda::ConvolutionArguments&)>;

cuda::ConvolutionProblem problemOf(const ConvolutionCase& shape, cuda::ElementType type, bool tf32 = false,
                                   const ConvolutionExtras& extras = {});

// The values rounded to T, so that the reference computes with the kernel's inputs.
template <class T>
std::vector<float> randomPlain(int64_t count, unsigned seed) {
  const Memory<T> random = randomMemory<T>(count, seed, -1, 1);
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = cuda::toFloat(random[i]);
  return values;
}

// [outer, channels, height·width] ⇄ [outer, height·width, padded], zeros between.
template <class T>
Memory<T> toPadded(const std::vector<float>& plain, int64_t outer, int64_t channels, int64_t inner, int64_t padded,
                   int64_t paddedOuter) {
  Memory<T> memory(paddedOuter * inner * padded);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = cuda::fromFloat<T>(0);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < inner; ++i)
        memory[(o * inner + i) * padded + c] = cuda::fromFloat<T>(plain[(o * channels + c) * inner + i]);
    }
  }
  return memory;
}

// The residual of a problem, [N, C, H, W] of its map, as the values that are added.
std::vector<float> residualTaken(const cuda::ConvolutionProblem& problem, const std::vector<float>& map);

std::vector<float> referenceConvolution(const cuda::ConvolutionProblem& problem, std::vector<float> input,
                                        std::vector<float> weights, std::vector<float> bias,
                                        std::vector<float> residual, std::vector<float> slopes = {});
std::vector<float> absolute(std::vector<float> values);

// T: float, __half or __nv_bfloat16, according to `type`. `roundings`: how often the result is rounded to it.
template <class T>
void checkConvolution(const ConvolutionCase& shape, cuda::ElementType type, bool tf32, const ConvolutionExtras& extras,
                      size_t workspaceBytes, const ConvolutionLaunch& launch, int roundings = 1);

}  // namespace resnode::test
