// Feature maps between real numbers and 8-bit integers (native/core/int8.h), both in nhwc.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// target = value / scale, cut and rounded. *notFinite (one int) becomes 1 where a value is NaN or infinite, else 0.
void launchQuantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                    int* notFinite, cudaStream_t stream);

// target = integer × scale.
void launchDequantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                      cudaStream_t stream);

}  // namespace resnode::cuda
