// Corrections for a convolution that multiplies uint8 as the signed bytes that are stored (Unsigned8), as cuDNN does:
// 128 × the sum of the weights inside the image. Σ(x − 128)·w + 128·Σw = Σx·w, exactly.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// One number per filter. If windows cross an edge, where padding must count as zeros, there is one per position of the
// output: [positions, filters], with padded filters.
struct ShiftCorrections {
  int64_t height = 1, width = 1, outHeight = 1, outWidth = 1;
  int64_t r = 1, s = 1, strideH = 1, strideW = 1, padH = 0, padW = 0, dilationH = 1, dilationW = 1;
  int64_t filters = 1, depth = 1;  // filters: padded; depth: channels of one filter

  static ShiftCorrections of(const ConvolutionProblem& problem);
  bool isOfPlaces() const;
  int64_t places() const { return isOfPlaces() ? outHeight * outWidth : 1; }
  // weights: [filters, r, s, depth] of the problem. The results are integers, exact below 2²⁴.
  std::vector<float> from(const int8_t* weights) const;

  auto key() const {
    return std::make_tuple(height, width, outHeight, outWidth, r, s, strideH, strideW, padH, padW, dilationH, dilationW,
                           filters, depth);
  }
  bool operator<(const ShiftCorrections& other) const { return key() < other.key(); }
};

// The offset in floats of the result's shift from the residual's factor, because cuDNN needs multiples of 16 bytes.
inline constexpr int64_t kShiftPlace = 4;
// The number to add to the result, in its units, if residual or result are stored with an offset.
inline bool shiftsResult(const ConvolutionProblem& problem) {
  return problem.outputType == ElementType::uint8 || (problem.residual && problem.residualType == ElementType::uint8);
}
inline float shiftOfResult(const ConvolutionProblem& problem, float residualFactor) {
  const auto shiftOf = [](ElementType type) { return type == ElementType::uint8 ? float{kShift} : 0.0f; };
  return (problem.residual ? shiftOf(problem.residualType) * residualFactor : 0) - shiftOf(problem.outputType);
}

}  // namespace resnode::cuda
