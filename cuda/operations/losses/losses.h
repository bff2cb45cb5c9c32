// SoftmaxWithLoss and EuclideanLoss on plain float32; native/operations/losses/reference.cc is the specification.
#pragma once

#include <optional>

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// scores [outer, channels, inner], labels [outer, inner] as floats. `prob` (scores' shape) is written; null: not wanted
// (the kernel then needs no memory for it). `result` is one float. Every launch writes *badLabel: the index + 1 of the first
// label that no class has (and that is not ignored; it counts as if it were), 0 where there is none. null: not wanted.
void launchSoftmaxLoss(const SoftmaxLoss& loss, const float* scores, const float* labels, float* prob, float* result,
                       int* badLabel, cudaStream_t stream);

// Σ (a − b)² / (2·batch).
void launchEuclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count,
                         cudaStream_t stream);

}  // namespace resnode::cuda
