#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// PReLU (prelu_layer.cu): y = x > 0 ? x : slope·x; `slope` holds one float per channel, or one for all (channelShared).
// Row-major: [outer, channels, inner]; nhwc: outer = pixels, inner = 1, the shape's paddedChannels.
void launchPRelu(ElementType type, const void* input, const float* slope, bool channelShared, void* output,
                 int64_t outer, int64_t channels, int64_t paddedChannels, int64_t inner, cudaStream_t stream);

// dx, and the diff of the slopes (one, or one per channel); null: not requested. `scratch`: preluGradientScratch()
// floats, if the slopes' diff is requested.
void launchPReluGradient(const void* x, const void* dy, const float* slope, bool channelShared, void* dx, float* dSlope,
                         const ChannelShape& shape, float* scratch, cudaStream_t stream);
int64_t preluGradientScratch(const ChannelShape& shape, bool channelShared);

}  // namespace resnode::cuda
