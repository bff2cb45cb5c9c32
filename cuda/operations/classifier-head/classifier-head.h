// The end of a classifier in a few launches: global average pooling → inner product → softmax.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

struct ClassifierHead {
  Nhwc input;  // the last feature map
  int64_t classes = 0;
  const void* weights = nullptr;  // [classes, input.c] of the input's type
  const float* bias = nullptr;    // [classes], null: none
  float* pooled = nullptr;        // [n, input.c] float32: scratch
  float* scores = nullptr;        // [n, classes]: the inner product's output
  float* prob = nullptr;          // [n, classes]
  unsigned* arrivals = nullptr;   // a counter, zero before and after
};

void launchClassifierHead(const ClassifierHead& head, ElementType type, const void* input, cudaStream_t stream);

}  // namespace resnode::cuda
