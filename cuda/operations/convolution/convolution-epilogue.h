// The epilogue of a convolution, the same in every kernel: + bias, + residual, activation, one rounding. Padding channels
// become zero, whatever their sums.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/kernels/activation.h"
#include "cuda/launch.h"

namespace resnode::cuda {

// The type that one instruction loads or stores, up to 16 bytes.
template <class T, int count>
struct alignas(sizeof(T) * count) ElementVector {
  T values[count];
};

// The pixel of the residual that belongs to a pixel of the output: the same one, or one of every stride in each
// direction. Then numbers of pixels have 32 bits, in which the sums wrap to the right result.
struct ResidualPixels {
  unsigned width = 0, image = 0;       // of the output: pixels of a line and of an image; 0: the same pixel
  unsigned stride = 1;                 // from pixel to pixel
  unsigned perLine = 0, perImage = 0;  // what is skipped besides, after each line and each image

  __device__ int64_t operator()(int64_t pixel) const {
    if (width == 0) return pixel;
    const unsigned at = static_cast<unsigned>(pixel);
    return at * stride + at / width * perLine + at / image * perImage;
  }
};

template <class T>
struct ConvolutionEpilogue {
  const float* bias;  // [paddedChannels] or null
  const T* residual;  // [pixels, paddedChannels] or null; may be the output
  T* output;          // [pixels, paddedChannels]
  int channels, paddedChannels;
  Activation activation;
  ResidualPixels residualPixels;

  __device__ T finish(float sum, int channel, float residualValue) const {
    if (channel >= channels) return fromFloat<T>(0);
    const float value = sum + (bias ? bias[channel] : 0.0f) + residualValue;
    return fromFloat<T>(activation(value, channel));
  }

  __device__ void store(int64_t pixel, int channel, float sum) const {
    float added = 0;
    if (residual) added = toFloat(residual[residualPixels(pixel) * paddedChannels + channel]);
    output[pixel * paddedChannels + channel] = finish(sum, channel, added);
  }

  // Stores 8 channels, starting at a multiple of 8, 16 bytes at a time.
  __device__ void store(int64_t pixel, int channel, const float (&sums)[8]) const {
    constexpr int kCount = 16 / sizeof(T);
    using Vector = ElementVector<T, kCount>;
    const int64_t first = pixel * paddedChannels + channel;
    const T* addend = residual ? residual + residualPixels(pixel) * paddedChannels + channel : nullptr;
    for (int from = 0; from < 8; from += kCount) {
      Vector values, added;
      if (residual) added = *reinterpret_cast<const Vector*>(addend + from);
      for (int i = 0; i < kCount; ++i) {
        values.values[i] = finish(sums[from + i], channel + from + i, residual ? toFloat(added.values[i]) : 0.0f);
      }
      *reinterpret_cast<Vector*>(output + first + from) = values;
    }
  }
};

inline Activation activationOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  return {problem.relu ? problem.negativeSlope : 1.0f, problem.clip, problem.slopes > 0 ? arguments.slopes : nullptr,
          problem.slopes == 1};
}

inline ResidualPixels residualPixelsOf(const ConvolutionProblem& problem) {
  if (!problem.isResidualStrided()) return {};
  const Nhwc &map = problem.residualMap, &output = problem.output;
  const int64_t lines = problem.residualStrideH, columns = problem.residualStrideW;
  const auto narrow = [](int64_t value) { return static_cast<unsigned>(value); };
  return {narrow(output.w), narrow(output.h * output.w), narrow(columns), narrow(lines * map.w - output.w * columns),
          narrow((map.h - output.h * lines) * map.w)};
}

template <class T>
ConvolutionEpilogue<T> epilogueOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  ConvolutionEpilogue<T> epilogue;
  epilogue.bias = problem.bias ? arguments.bias : nullptr;
  epilogue.residual = problem.residual ? static_cast<const T*>(arguments.residual) : nullptr;
  epilogue.output = static_cast<T*>(arguments.output);
  epilogue.channels = static_cast<int>(problem.output.c);
  epilogue.paddedChannels = static_cast<int>(problem.output.paddedChannels);
  epilogue.activation = activationOf(problem, arguments);
  epilogue.residualPixels = residualPixelsOf(problem);
  return epilogue;
}

}  // namespace resnode::cuda
