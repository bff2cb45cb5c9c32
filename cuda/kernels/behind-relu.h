// What comes through a ReLU that is the last step of another operation, backwards.
#pragma once

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

// dx as dy, or what comes through the ReLU behind it. In place on dy allowed.
void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
