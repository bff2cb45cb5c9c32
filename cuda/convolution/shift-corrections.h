// What a convolution lacks that multiplies shifted integers (Unsigned8) as the signed ones that they lie as, which cuDNN does:
// 128 × the weights that meet the image. Σ(x − 128)·w + 128·Σw = Σx·w, in whole numbers.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

// One number a filter; where windows reach over an edge, and the image has to end there as zeros do, one a place of the output,
// too: [places, filters], filters being padded.
struct ShiftCorrections {
  int64_t height = 1, width = 1, outHeight = 1, outWidth = 1;
  int64_t r = 1, s = 1, strideH = 1, strideW = 1, padH = 0, padW = 0, dilationH = 1, dilationW = 1;
  int64_t filters = 1, depth = 1;  // padded; channels of one filter

  static ShiftCorrections of(const ConvolutionProblem& problem);
  bool isOfPlaces() const;
  int64_t places() const { return isOfPlaces() ? outHeight * outWidth : 1; }
  // weights: [filters, r, s, depth] of the problem. Whole numbers, exact below 2²⁴.
  std::vector<float> from(const int8_t* weights) const;

  auto key() const {
    return std::make_tuple(height, width, outHeight, outWidth, r, s, strideH, strideW, padH, padW, dilationH, dilationW,
                           filters, depth);
  }
  bool operator<(const ShiftCorrections& other) const { return key() < other.key(); }
};

// Where the shift of the result lies behind the residual's factor, in floats: cuDNN is promised multiples of 16 bytes.
inline constexpr int64_t kShiftPlace = 4;
// What is added to the result, in its units, where residual or result lie shifted.
inline bool shiftsResult(const ConvolutionProblem& problem) {
  return problem.outputType == ElementType::uint8 || (problem.residual && problem.residualType == ElementType::uint8);
}
inline float shiftOfResult(const ConvolutionProblem& problem, float residualFactor) {
  const auto shiftOf = [](ElementType type) { return type == ElementType::uint8 ? float{kShift} : 0.0f; };
  return (problem.residual ? shiftOf(problem.residualType) * residualFactor : 0) - shiftOf(problem.outputType);
}

}  // namespace resnode::cuda
