#pragma once

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

// Scores, labels and *badLabel are as for launchSoftmaxLoss (losses.h). Ties count against the true class. perClass:
// [channels], null: not requested.
void launchAccuracy(const Accuracy& accuracy, const float* scores, const float* labels, float* result, float* perClass,
                    int* badLabel, cudaStream_t stream);

}  // namespace resnode::cuda
