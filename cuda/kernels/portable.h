// Portable kinds (native/core/portable.h) on a GPU: their loops as launches, in the order in which they stand.
#pragma once

#include "cuda/launch.h"
#include "native/core/portable.h"

namespace resnode::cuda {

// `badLabel`: where 0 goes, or 1 + the first place whose index names nothing; null where none is read.
void launchForward(const Portable& operation, const Forward& at, int* badLabel, cudaStream_t stream);
void launchBackward(const Portable& operation, const Backward& at, cudaStream_t stream);

}  // namespace resnode::cuda
