// Concat, Slice, Reshape: blocks of memory from here to there.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// `rows` blocks of `bytes` (a multiple of 2), at strides in bytes: concat along an axis is one call per input, slice one
// per output. nhwc tensors concatenate along their channels with strides of paddedChannels elements.
void launchCopyRows(const void* source, int64_t sourceStride, void* target, int64_t targetStride, int64_t rows,
                    int64_t bytes, cudaStream_t stream);

}  // namespace resnode::cuda
