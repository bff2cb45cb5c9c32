// Portable kinds (native/core/portable.h) on a GPU: each of their loops is a launch, in the order of the source.
#pragma once

#include "cuda/launch.h"
#include "native/core/portable.h"

namespace resnode::cuda {

// `badLabel`: set to 0, or to 1 + the first position with an invalid index; null if the operation reads no indices.
void launchForward(const Portable& operation, const Forward& at, int* badLabel, cudaStream_t stream);
void launchBackward(const Portable& operation, const Backward& at, cudaStream_t stream);

}  // namespace resnode::cuda
