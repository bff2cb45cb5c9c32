// y = x·Wᵀ + b: rows of a row-major or pooled (1×1) input times rows of the weights.
#pragma once

#include "cuda/kernels/activation.h"
#include "cuda/types.h"

namespace resnode::cuda {

// input [rows, rowStride] of `type`, of which the first k count; weights [outputs, k] of `type`; bias [outputs]
// float32, null: none; output [rows, outputs] float32. Accumulates in float32.
void launchInnerProduct(ElementType type, const void* input, int64_t rowStride, const void* weights, const float* bias,
                        const Activation& activation, float* output, int64_t rows, int64_t k, int64_t outputs,
                        cudaStream_t stream);

// The same with another type for the weights. If the types differ, one of them is float32.
void launchInnerProduct(ElementType inputType, ElementType weightsType, const void* input, int64_t rowStride,
                        const void* weights, const float* bias, const Activation& activation, float* output,
                        int64_t rows, int64_t k, int64_t outputs, cudaStream_t stream);

}  // namespace resnode::cuda
