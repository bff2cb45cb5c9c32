// Pooling with a 1×1 window in [outer][blocks][inner][lanes]: copies whole pixels of `lanes` channels.
#pragma once

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// `pool`: as parallel.h says.

// Every `stride`-th pixel of planes of height × width.
struct Sampling {
  int64_t planes, height, width, outHeight, outWidth, strideHeight, strideWidth, lanes;
};
// For values of `elementBytes` each.
void sample(ThreadPool* pool, const Sampling& sampling, size_t elementBytes, const char* x, char* y);
// dx is dy at sampled pixels, else 0.
void sampleGradient(ThreadPool* pool, const Sampling& sampling, const float* dy, float* dx);

}  // namespace resnode::cpu
