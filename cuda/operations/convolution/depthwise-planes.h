// What the kernels of depthwise convolutions share. A thread computes `channels` of a pixel: 8, or 4 for images.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/kernels/vector.h"

namespace resnode::cuda {

constexpr int kThreads = 256;
constexpr int kMostVectors = 32;  // of channels, per block

// Planes of the convolution: x is [n, height, width], y [n, outHeight, outWidth].
struct Planes {
  int64_t work;  // items of threadIdx.y: columns or positions
  int height, width, outHeight, outWidth;
  int r, s, strideH, strideW, padH, padW, dilationH, dilationW;
  int stored;  // channels of a pixel
};

template <class T, int channels>
__device__ __forceinline__ void loadFloats(const T* from, float (&values)[channels]) {
  constexpr int kCount = channels * sizeof(T) <= 16 ? channels : 16 / sizeof(T);
  for (int first = 0; first < channels; first += kCount) {
    const Pack<T, kCount> pack = load<T, kCount>(from + first);
    for (int i = 0; i < kCount; ++i) values[first + i] = toFloat(pack.values[i]);
  }
}

inline Planes planesOf(const ConvolutionProblem& problem, int64_t work) {
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  return {work,
          narrow(problem.input.h),
          narrow(problem.input.w),
          narrow(problem.output.h),
          narrow(problem.output.w),
          narrow(problem.r),
          narrow(problem.s),
          narrow(problem.strideH),
          narrow(problem.strideW),
          narrow(problem.padH),
          narrow(problem.padW),
          narrow(problem.dilationH),
          narrow(problem.dilationW),
          narrow(problem.input.paddedChannels)};
}

inline int channelsOfThread(const ConvolutionProblem& problem) { return problem.input.paddedChannels % 8 == 0 ? 8 : 4; }

}  // namespace resnode::cuda
