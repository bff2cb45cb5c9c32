// The epilogue of a convolution, the same in every kernel: + bias, + residual, ReLU, one rounding. Padding channels
// become zero, whatever their sums.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/launch.h"

namespace resnode::cuda {

// The type that one instruction loads or stores, up to 16 bytes.
template <class T, int count>
struct alignas(sizeof(T) * count) ElementVector {
  T values[count];
};

template <class T>
struct ConvolutionEpilogue {
  const float* bias;  // [paddedChannels] or null
  const T* residual;  // [pixels, paddedChannels] or null; may be the output
  T* output;          // [pixels, paddedChannels]
  int channels, paddedChannels;
  float slope;  // of the ReLU for negative values; 1 without ReLU

  __device__ T finish(float sum, int channel, float residualValue) const {
    if (channel >= channels) return fromFloat<T>(0);
    const float value = sum + (bias ? bias[channel] : 0.0f) + residualValue;
    return fromFloat<T>(value < 0 ? value * slope : value);
  }

  __device__ void store(int64_t pixel, int channel, float sum) const {
    const int64_t i = pixel * paddedChannels + channel;
    output[i] = finish(sum, channel, residual ? toFloat(residual[i]) : 0.0f);
  }

  // Stores 8 channels, starting at a multiple of 8, 16 bytes at a time.
  __device__ void store(int64_t pixel, int channel, const float (&sums)[8]) const {
    constexpr int kCount = 16 / sizeof(T);
    using Vector = ElementVector<T, kCount>;
    const int64_t first = pixel * paddedChannels + channel;
    for (int from = 0; from < 8; from += kCount) {
      Vector values, added;
      if (residual) added = *reinterpret_cast<const Vector*>(residual + first + from);
      for (int i = 0; i < kCount; ++i) {
        values.values[i] = finish(sums[from + i], channel + from + i, residual ? toFloat(added.values[i]) : 0.0f);
      }
      *reinterpret_cast<Vector*>(output + first + from) = values;
    }
  }
};

template <class T>
ConvolutionEpilogue<T> epilogueOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  ConvolutionEpilogue<T> epilogue;
  epilogue.bias = problem.bias ? arguments.bias : nullptr;
  epilogue.residual = problem.residual ? static_cast<const T*>(arguments.residual) : nullptr;
  epilogue.output = static_cast<T*>(arguments.output);
  epilogue.channels = static_cast<int>(problem.output.c);
  epilogue.paddedChannels = static_cast<int>(problem.output.paddedChannels);
  epilogue.slope = problem.relu ? problem.negativeSlope : 1.0f;
  return epilogue;
}

}  // namespace resnode::cuda
