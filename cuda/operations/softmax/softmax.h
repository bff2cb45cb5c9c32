// Softmax on plain float32 [outer, channels, inner], shifted by the maximum, as softmax_layer.cu.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// In place allowed.
void launchSoftmax(const float* input, float* output, int64_t outer, int64_t channels, int64_t inner,
                   cudaStream_t stream);

}  // namespace resnode::cuda
