// Per-channel affine steps: BatchNorm + Scale + ReLU at inference (batch-norm-scale-relu), the same with a residual
// added before the ReLU (bn-scale-add-relu), and Caffe's Scale and Bias layers.
#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

struct Affine {
  // plain: element i has channel (i / inner) % channels. nhwc: outer = pixels, inner = 1.
  int64_t outer = 1, channels = 1, inner = 1;
  int64_t paddedChannels = 1;  // nhwc: as the shape has; plain: equal to channels
  const float* center =
      nullptr;  // [channels], null: 0. Subtracted first, so that what equals it becomes the bias to the bit
  const float* scale = nullptr;    // [channels], null: 1
  const float* bias = nullptr;     // [channels], null: 0
  const void* residual = nullptr;  // of the input's shape and type, null: none
  bool relu = false;
  float negativeSlope = 0;
  RowOrder order = RowOrder::firstFirst;
  // Where the output is positive, a bit a value (layout.h); null: not wanted. For channels last that are a multiple of 8.
  uint8_t* signs = nullptr;
  // Null: the residual as it is. Else it is (residual − center)·scale + bias, [3, channels]. For channels last.
  const float* residualBy = nullptr;
};

// output = relu((input − center)·scale + bias + residual), computed in float32; in place allowed (on the input or the residual).
void launchAffine(const Affine& affine, ElementType type, const void* input, void* output, cudaStream_t stream);

}  // namespace resnode::cuda
