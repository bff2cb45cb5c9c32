// Caffe's pooling (pooling_layer.cu) on nhwc: the output's size is given (rounded up by graph/), windows are clipped.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

struct PoolingShape {
  Nhwc input, output;
  int64_t kernelH = 1, kernelW = 1, strideH = 1, strideW = 1, padH = 0, padW = 0;
};

// MAX: strict > from −FLT_MAX, first maximum in row-major order. `mask` (null: not wanted) gets its index h·W + w in the
// input plane as float32, row-major [N, C, outH, outW].
void launchMaxPooling(const PoolingShape& shape, ElementType type, const void* input, void* output, float* mask,
                      cudaStream_t stream);

// AVE: divides by the window clipped to [−pad, size + pad), float32 accumulation. A window of the whole plane (global
// average pooling) takes a reduction of its own.
void launchAveragePooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                          cudaStream_t stream);

}  // namespace resnode::cuda
