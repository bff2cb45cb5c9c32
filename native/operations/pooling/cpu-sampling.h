// Pooling with a 1×1 window in [outer][blocks][inner][lanes]: whole pixels of `lanes` channels.
#pragma once

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// `pool`: as parallel.h says.

// Every `stride`-th pixel of planes of height × width.
struct Sampling {
  int64_t planes, height, width, outHeight, outWidth, strideHeight, strideWidth, lanes;
};
// Values of `elementBytes` each.
void sample(ThreadPool* pool, const Sampling& sampling, size_t elementBytes, const char* x, char* y);
// dx is dy where it was sampled, else 0.
void sampleGradient(ThreadPool* pool, const Sampling& sampling, const float* dy, float* dx);

}  // namespace resnode::cpu
