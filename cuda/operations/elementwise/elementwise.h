// Functions of one value (native/operations/elementwise/elementwise.h).
#pragma once

#include "cuda/types.h"
#include "native/operations/elementwise/elementwise.h"

namespace resnode::cuda {

// output[i] = f(input[i]); may work in place. Row-major: `type` is float32, channels = paddedChannels = 1. nhwc: the
// shape's channels and paddedChannels, so that padding stays zero.
void launchUnary(const Elementwise& function, ElementType type, const void* input, void* output, int64_t elements,
                 int64_t channels, int64_t paddedChannels, cudaStream_t stream);

}  // namespace resnode::cuda
