// SoftmaxWithLoss and EuclideanLoss on row-major float32; native/operations/losses/reference.cc specifies them.
#pragma once

#include <optional>

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// scores [outer, channels, inner], labels [outer, inner] as floats. `prob` has the scores' shape; null: not requested,
// and the kernel needs no memory for it. `result` is one float. Every launch sets *badLabel to the index + 1 of the
// first invalid label (which then counts as ignored), or 0 if there is none. null: not requested.
void launchSoftmaxLoss(const SoftmaxLoss& loss, const float* scores, const float* labels, float* prob, float* result,
                       int* badLabel, cudaStream_t stream);

// Σ (a − b)² / (2·batch).
void launchEuclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count,
                         cudaStream_t stream);

}  // namespace resnode::cuda
