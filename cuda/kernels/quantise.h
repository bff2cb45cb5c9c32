// Converts feature maps between floating point and 8-bit integers (native/core/int8.h), both nhwc.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// target = value / scale, clamped and rounded. *notFinite (one int) is set to 1 if a value is NaN or infinite, else to
// 0.
void launchQuantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                    int* notFinite, cudaStream_t stream);

// target = integer × scale.
void launchDequantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                      cudaStream_t stream);

}  // namespace resnode::cuda
