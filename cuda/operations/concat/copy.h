// Concat, Slice, Reshape: copies of memory blocks.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// Copies `rows` blocks of `bytes` (a multiple of 2) at strides in bytes. Concat along an axis takes one call per input,
// Slice one per output. nhwc tensors concatenate along channels with strides of paddedChannels elements.
void launchCopyRows(const void* source, int64_t sourceStride, void* target, int64_t targetStride, int64_t rows,
                    int64_t bytes, cudaStream_t stream);

}  // namespace resnode::cuda
