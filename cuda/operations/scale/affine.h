// Per-channel affine steps: BatchNorm + Scale + ReLU at inference (batch-norm-scale-relu), the same with a residual
// added before the ReLU (bn-scale-add-relu), and Caffe's Scale and Bias layers.
#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

struct Affine {
  // Row-major: element i has channel (i / inner) % channels. nhwc: outer = pixels, inner = 1.
  int64_t outer = 1, channels = 1, inner = 1;
  int64_t paddedChannels = 1;  // nhwc: that of the shape; row-major: equal to channels
  const float* center =
      nullptr;  // [channels], null: 0. Subtracted first, so that a value equal to it gives exactly the bias
  const float* scale = nullptr;    // [channels], null: 1
  const float* bias = nullptr;     // [channels], null: 0
  const void* residual = nullptr;  // of the input's shape and type, null: none
  bool relu = false;
  float negativeSlope = 0;
  RowOrder order = RowOrder::firstFirst;
  // One bit per value: whether the output is positive (layout.h); null: not requested. For channels last, with a
  // multiple of 8 channels.
  uint8_t* signs = nullptr;
  // [3, channels]: the residual is replaced by (residual − center)·scale + bias. Null: it is added unchanged. For
  // channels last.
  const float* residualBy = nullptr;
};

// output = relu((input − center)·scale + bias + residual), computed in float32; may work in place (on the input or the
// residual).
void launchAffine(const Affine& affine, ElementType type, const void* input, void* output, cudaStream_t stream);

}  // namespace resnode::cuda
