// The end of a classifier in few launches: global average pooling → inner product → softmax → top-k.
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
  float* prob = nullptr;          // [n, classes], null: not wanted
  int topK = 0;                   // 0: not wanted; at most 32
  int* topIndices = nullptr;      // [n, topK], by falling score, the lower index first among equals; NaN after numbers
  float* topValues =
      nullptr;  // [n, topK]: probabilities where prob is wanted, else scores; −1 and NaN past the classes
};

void launchClassifierHead(const ClassifierHead& head, ElementType type, const void* input, cudaStream_t stream);

}  // namespace resnode::cuda
