// upsample_layer.cpp of SegNet (github.com/alexgkendall/caffe-segnet): puts the maxima of a max pooling back at their
// positions.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// A plane of y. If the mask repeats a position, the last value counts.
struct UnpooledPlane {
  const float *x, *mask;
  float* y;
  int64_t pooled, pixels;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t plane) const {
    float* made = y + plane * pixels;
    for (int64_t i = 0; i < pixels; ++i) made[i] = 0;
    for (int64_t i = plane * pooled; i < (plane + 1) * pooled; ++i) {
      const int64_t place = static_cast<int64_t>(mask[i]);
      if (place >= 0 && place < pixels) made[place] = x[i];
    }
  }
};

struct UnpooledDiff {
  const float *mask, *dy;
  int64_t pooled, pixels;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t place = static_cast<int64_t>(mask[i]);
    return place >= 0 && place < pixels ? dy[i / pooled * pixels + place] : 0.0f;
  }
};

template <class Run>
void forward(const Unpool&, const Forward& at, Run& run) {
  const int64_t planes = at.xShape[0][0] * at.xShape[0][1], pixels = elementCount(at.yShape[0]) / planes,
                count = elementCount(at.xShape[0]);
  run.check(labelsOf(at.x[1], pixels, {}, true), count);
  run.each(planes, UnpooledPlane{at.x[0], at.x[1], at.y[0], count / planes, pixels});
}

template <class Run>
void backward(const Unpool&, const Backward& at, Run& run) {
  const int64_t planes = at.xShape[0][0] * at.xShape[0][1], count = elementCount(at.xShape[0]);
  run.map(at.dx[0], count, UnpooledDiff{at.x[1], at.dy[0], count / planes, elementCount(at.yShape[0]) / planes});
}

}  // namespace resnode
