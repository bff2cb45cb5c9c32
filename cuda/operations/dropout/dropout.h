// Dropout in phase TRAIN (native/operations/dropout/reference.cc), forward and backward alike: the mask is a function of the values'
// places in row-major N×C×H×W, whatever their layout here, so that every device drops the same.
#pragma once

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// output[i] = 0 or input[i] / (1 − ratio); in place allowed. `pass`: [iteration, pass of the iteration], on the GPU.
// Plain values, and feature maps, whose padding becomes zero.
void launchDropout(const Dropout& dropout, const float* pass, const float* input, float* output, int64_t count,
                   cudaStream_t stream);
void launchDropout(const Dropout& dropout, const float* pass, ElementType type, const void* input, void* output,
                   const Nhwc& shape, cudaStream_t stream);

}  // namespace resnode::cuda
