// The gradients of an inner product with respect to input and weights, in float32 on row-major matrices.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// x [rows, k], dy [rows, outputs]; weights [outputs, k], or [k, outputs] if transposed.
struct InnerProductShape {
  int64_t rows = 0, k = 0, outputs = 0;
  bool transposed = false;
};

// dx = dy · weights. `scratch`: innerProductDataScratch() floats.
void launchInnerProductDataGradient(const InnerProductShape& shape, const float* dy, const float* weights, float* dx,
                                    float* scratch, cudaStream_t stream);
int64_t innerProductDataScratch(const InnerProductShape& shape);

// dw = dyᵀ · x, in the layout of the weights. `scratch`: innerProductWeightScratch() floats.
void launchInnerProductWeightGradient(const InnerProductShape& shape, const float* x, const float* dy, float* dw,
                                      float* scratch, cudaStream_t stream);
int64_t innerProductWeightScratch(const InnerProductShape& shape);

}  // namespace resnode::cuda
