// The gradient of Caffe's local response normalisation (lrn_layer.cpp), in float32 on row-major tensors.
#pragma once

#include "native/core/program.h"

#include "cuda/types.h"

namespace resnode::cuda {

// y = x · s^−beta with s = k + alpha/n · Σ x². Each x contributes to its own y and, through s, to those of every window
// that contains it. `scratch`: one float per element.
void launchLrnGradient(const Lrn& lrn, const float* x, const float* dy, float* dx, float* scratch, int64_t n, int64_t c,
                       int64_t h, int64_t w, cudaStream_t stream);

}  // namespace resnode::cuda
