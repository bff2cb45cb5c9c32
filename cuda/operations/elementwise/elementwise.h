// One input, one output, one function: those of native/operations/elementwise/elementwise.h.
#pragma once

#include "cuda/types.h"
#include "native/operations/elementwise/elementwise.h"

namespace resnode::cuda {

// output[i] = f(input[i]); in place allowed. plain: `type` is float32. nhwc: pass the shape's channels and
// paddedChannels, so that padding stays zero; plain: channels = paddedChannels = 1.
void launchUnary(const Elementwise& function, ElementType type, const void* input, void* output, int64_t elements,
                 int64_t channels, int64_t paddedChannels, cudaStream_t stream);

// PReLU: y = x > 0 ? x : slope·x; `slope` holds one float a channel, or one in all (channelShared).
// plain: [outer, channels, inner]; nhwc: outer = pixels, inner = 1, paddedChannels as the shape has.
void launchPRelu(ElementType type, const void* input, const float* slope, bool channelShared, void* output,
                 int64_t outer, int64_t channels, int64_t paddedChannels, int64_t inner, cudaStream_t stream);

}  // namespace resnode::cuda
