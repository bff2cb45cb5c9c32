#pragma once

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// dx = y·(dy − Σ dy·y), over the channels of each position. May work in place on dy.
void launchSoftmaxGradient(const Softmax& softmax, const float* y, const float* dy, float* dx, cudaStream_t stream);

}  // namespace resnode::cuda
