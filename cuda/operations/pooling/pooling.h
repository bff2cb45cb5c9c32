// Caffe's pooling (pooling_layer.cu) on nhwc: the output's size is given (rounded up by graph/), windows are clipped.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

struct PoolingShape {
  Nhwc input, output;
  int64_t kernelH = 1, kernelW = 1, strideH = 1, strideW = 1, padH = 0, padW = 0;
};

// Where a window's maximum was first seen, in row-major order; one of both, or neither.
struct MaximaWanted {
  float* mask = nullptr;  // h·W + w in the input plane, −1 where nothing was: float32, row-major [N, C, outH, outW]
  uint8_t* places =
      nullptr;  // r·kernelW + s in the window, kNowhere where nothing was: as the output lies, padding included
};
inline constexpr int kNowhere = 255;
// Whether a byte tells the places of a window.
inline bool hasPlaces(int64_t kernelH, int64_t kernelW) {
  return kernelH < kNowhere && kernelW < kNowhere && kernelH * kernelW < kNowhere;
}

// MAX: strict > from −FLT_MAX. Of integers nothing else is wanted.
void launchMaxPooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                      const MaximaWanted& wanted, cudaStream_t stream);

// The same of real numbers, whose maxima become integers: as launchMaxPooling and launchQuantise one after the other.
void launchMaxPoolingToIntegers(const PoolingShape& shape, ElementType from, const void* input, ElementType to,
                                void* output, float scale, int* notFinite, cudaStream_t stream);

// AVE: divides by the window clipped to [−pad, size + pad), float32 accumulation. A window of the whole plane (global
// average pooling) takes a reduction of its own.
void launchAveragePooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                          cudaStream_t stream);

}  // namespace resnode::cuda
