// Copies of regions of feature maps, [outer][blocks][inner][lanes]: whole pixels of `lanes` channels.
#pragma once

#include "layout.h"
#include "thread-pool.h"

namespace resnode::cpu {

// `pool`: as parallel.h says.

// Every `stride`-th pixel of planes of height × width: what a pooling with a 1×1 window does.
struct Sampling {
  int64_t planes, height, width, outHeight, outWidth, strideHeight, strideWidth, lanes;
};
// Values of `elementBytes` each.
void sample(ThreadPool* pool, const Sampling& sampling, size_t elementBytes, const char* x, char* y);
// dx is dy where it was sampled, else 0.
void sampleGradient(const Sampling& sampling, const float* dy, float* dx);

// Copies `length` values for each of `outer` rows; rows begin `fromStep` and `toStep` values apart.
void copyRows(ThreadPool* pool, const float* from, int64_t fromStep, float* to, int64_t toStep, int64_t outer, int64_t length);

}  // namespace resnode::cpu
