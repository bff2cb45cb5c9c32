// The divisor of LRN (lrn_layer.cpp), for the layer and its gradient: row-major [N, C, H, W].
#pragma once

#include "cuda/launch.h"

namespace resnode::cuda {

struct LrnShape {
  int64_t channels, height, width;
  int64_t size;  // of the window, odd
  float alpha, beta, k;
};

RESNODE_HOST_DEVICE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
RESNODE_HOST_DEVICE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

// k + alpha/size·Σ x² over neighbouring channels. The sum is computed anew for each element, because Caffe's running
// sum drifts.
RESNODE_HOST_DEVICE float scaleAcross(const LrnShape& shape, const float* x, int64_t i) {
  const int64_t plane = shape.height * shape.width, c = i / plane % shape.channels, before = (shape.size - 1) / 2;
  const int64_t first = greater(c - before, 0), end = lesser(c - before + shape.size, shape.channels);
  float sum = 0;
  for (int64_t d = first; d < end; ++d) {
    const float value = x[i + (d - c) * plane];
    sum += value * value;
  }
  return shape.k + shape.alpha / static_cast<float>(shape.size) * sum;
}

// 1 + alpha·(average of x² over the window). In Caffe this is a net of square, average pool and power, so the divisor
// is pooling's.
RESNODE_HOST_DEVICE float scaleWithin(const LrnShape& shape, const float* x, int64_t i) {
  const int64_t h = i / shape.width % shape.height, w = i % shape.width, before = (shape.size - 1) / 2;
  const int64_t top = h - before, bottom = lesser(top + shape.size, shape.height + before);
  const int64_t left = w - before, right = lesser(left + shape.size, shape.width + before);
  float sum = 0;
  for (int64_t r = greater(top, 0); r < lesser(bottom, shape.height); ++r) {
    for (int64_t s = greater(left, 0); s < lesser(right, shape.width); ++s) {
      const float value = x[i + (r - h) * shape.width + s - w];
      sum += value * value;
    }
  }
  return 1 + shape.alpha * sum / static_cast<float>((bottom - top) * (right - left));
}

}  // namespace resnode::cuda
