// Local response normalisation (lrn_layer.cu) on row-major float32 N×C×H×W, across channels or within one.
#pragma once

#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

void launchLrn(const Lrn& lrn, const float* input, float* output, int64_t n, int64_t c, int64_t h, int64_t w,
               cudaStream_t stream);

}  // namespace resnode::cuda
