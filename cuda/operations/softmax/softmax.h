// Softmax on row-major float32 [outer, channels, inner], with the maximum subtracted as in softmax_layer.cu.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// May work in place.
void launchSoftmax(const float* input, float* output, int64_t outer, int64_t channels, int64_t inner,
                   cudaStream_t stream);

}  // namespace resnode::cuda
