// Dropout in phase TRAIN (native/operations/dropout/reference.cc), for both forward and backward. The mask is a
// function of the values' indices in row-major N×C×H×W, whatever the layout, so that every device drops the same
// values.
#pragma once

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// output[i] = 0 or input[i] / (1 − ratio); may work in place. `pass`: [iteration, pass of the iteration], on the GPU.
// For row-major values, and for feature maps, whose padding becomes zero.
void launchDropout(const Dropout& dropout, const float* pass, const float* input, float* output, int64_t count,
                   cudaStream_t stream);
void launchDropout(const Dropout& dropout, const float* pass, ElementType type, const void* input, void* output,
                   const Nhwc& shape, cudaStream_t stream);

}  // namespace resnode::cuda
