// The epilogue of an int8 convolution, the same in every kernel, and bit for bit that of the CPU's kernels
// (native/cpu/tile-int8-loops.h). docs/cpu-kernels.md defines it.
#pragma once

#include "cuda/operations/convolution/convolution-epilogue.h"

namespace resnode::cuda {

// Branches on the types at run time. They are the same for all threads, and templates on them would give nine times as
// many kernels.
struct IntegersEpilogue {
  const float* factors;
  const float* bias;     // [paddedChannels] or null
  const void* residual;  // [pixels, paddedChannels] or null; may be the output
  void* output;          // [pixels, paddedChannels]
  ElementType residualType, outputType;
  int channels, paddedChannels;
  Activation activation;  // in units of the result
  ResidualPixels residualPixels;

  __device__ float valueOf(int sum, int channel, float added) const {
    if (channel >= channels) return 0;
    const float value = fmaf(static_cast<float>(sum), factors[channel], bias ? bias[channel] : 0.0f);
    const float whole = residual ? fmaf(added, factors[paddedChannels], value) : value;
    return activation(whole, channel);
  }

  __device__ void store(int64_t pixel, int channel, int sum) const {
    const int64_t i = pixel * paddedChannels + channel;
    float added = 0;
    if (residual) added = at(residual, residualType, residualPixels(pixel) * paddedChannels + channel);
    const float value = valueOf(sum, channel, added);
    switch (outputType) {
      case ElementType::int8: static_cast<int8_t*>(output)[i] = fromFloat<int8_t>(value); return;
      case ElementType::uint8: static_cast<Unsigned8*>(output)[i] = fromFloat<Unsigned8>(value); return;
      default: static_cast<__half*>(output)[i] = fromFloat<__half>(value);
    }
  }

  // Stores 8 channels, starting at a multiple of 8, with as many bytes at a time as possible.
  __device__ void store(int64_t pixel, int channel, const int (&sums)[8]) const {
    const int64_t first = pixel * paddedChannels + channel;
    float values[8] = {};
    if (residual) {
      const int64_t from = residualPixels(pixel) * paddedChannels + channel;
      switch (residualType) {
        case ElementType::int8: loadEight<int8_t>(residual, from, values); break;
        case ElementType::uint8: loadEight<Unsigned8>(residual, from, values); break;
        default: loadEight<__half>(residual, from, values);
      }
    }
    for (int i = 0; i < 8; ++i) values[i] = valueOf(sums[i], channel + i, values[i]);
    switch (outputType) {
      case ElementType::int8: return storeEight<int8_t>(output, first, values);
      case ElementType::uint8: return storeEight<Unsigned8>(output, first, values);
      default: return storeEight<__half>(output, first, values);
    }
  }

 private:
  __device__ static float at(const void* from, ElementType type, int64_t i) {
    switch (type) {
      case ElementType::int8: return toFloat(static_cast<const int8_t*>(from)[i]);
      case ElementType::uint8: return toFloat(static_cast<const Unsigned8*>(from)[i]);
      default: return toFloat(static_cast<const __half*>(from)[i]);
    }
  }
  template <class T>
  __device__ static void loadEight(const void* from, int64_t first, float (&values)[8]) {
    const auto vector = *reinterpret_cast<const ElementVector<T, 8>*>(static_cast<const T*>(from) + first);
    for (int i = 0; i < 8; ++i) values[i] = toFloat(vector.values[i]);
  }
  template <class T>
  __device__ static void storeEight(void* to, int64_t first, const float (&values)[8]) {
    ElementVector<T, 8> vector;
    for (int i = 0; i < 8; ++i) vector.values[i] = fromFloat<T>(values[i]);
    *reinterpret_cast<ElementVector<T, 8>*>(static_cast<T*>(to) + first) = vector;
  }
};

inline IntegersEpilogue integersEpilogueOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  return {arguments.factors,
          problem.bias ? arguments.bias : nullptr,
          problem.residual ? arguments.residual : nullptr,
          arguments.output,
          problem.residualType,
          problem.outputType,
          static_cast<int>(problem.output.c),
          static_cast<int>(problem.output.paddedChannels),
          activationOf(problem, arguments),
          residualPixelsOf(problem)};
}

}  // namespace resnode::cuda
