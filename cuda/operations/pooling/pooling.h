// Caffe's pooling (pooling_layer.cu) on nhwc. The output's size is given (ts/layers rounds it up), and windows are
// clipped.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

struct PoolingShape {
  Nhwc input, output;
  int64_t kernelH = 1, kernelW = 1, strideH = 1, strideW = 1, padH = 0, padW = 0;
};

// The first position of a window's maximum in row-major order; one of the two or neither is requested.
struct MaximaWanted {
  float* mask = nullptr;      // h·W + w in the input plane, −1: none; float32, row-major [N, C, outH, outW]
  uint8_t* places = nullptr;  // r·kernelW + s in the window, kNowhere: none; in the output's layout, including padding
};
inline constexpr int kNowhere = 255;
// Whether a byte can hold the positions of a window.
inline bool hasPlaces(int64_t kernelH, int64_t kernelW) {
  return kernelH < kNowhere && kernelW < kNowhere && kernelH * kernelW < kNowhere;
}

// MAX: strict > from −FLT_MAX. For integers no positions can be requested.
void launchMaxPooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                      const MaximaWanted& wanted, cudaStream_t stream);

// The same from floating point to integers: equals launchMaxPooling followed by launchQuantise.
void launchMaxPoolingToIntegers(const PoolingShape& shape, ElementType from, const void* input, ElementType to,
                                void* output, float scale, int* notFinite, cudaStream_t stream);

// AVE: divides by the size of the window clipped to [−pad, size + pad); float32 accumulation. A window over the whole
// plane (global average pooling) uses another kernel.
void launchAveragePooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                          cudaStream_t stream);

}  // namespace resnode::cuda
