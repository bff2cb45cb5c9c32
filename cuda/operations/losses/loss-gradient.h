// Gradients of losses, in float32 on row-major tensors.
#pragma once

#include "native/core/program.h"

#include "cuda/types.h"

namespace resnode::cuda {

// dx = (p − 1 at the label) · dy / normaliser, and 0 if the label is ignored or invalid. `dy` is one number. `scratch`:
// one float.
void launchSoftmaxLossGradient(const SoftmaxLoss& loss, const float* scores, const float* labels, const float* dy,
                               float* dx, float* scratch, cudaStream_t stream);

// da = (a − b) · dy / batch, db = −da; null: not requested. `dy` is one number.
void launchEuclideanLossGradient(const float* a, const float* b, const float* dy, float* da, float* db, int64_t batch,
                                 int64_t count, cudaStream_t stream);

}  // namespace resnode::cuda
