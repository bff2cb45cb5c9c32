// flip_layer.cpp of github.com/happynear/caffe-windows. Flip is its own gradient.
#pragma once

#include "native/core/portable.h"

namespace resnode {

inline Walk flipped(const Flip& flip, const Shape& x) {
  Walk walk;
  walk.axes = 4;
  const std::vector<int64_t> strides = stridesOf(x);
  for (int axis = 0; axis < 4; ++axis) {
    const bool turns = (axis == 2 && flip.height) || (axis == 3 && flip.width);
    walk.size[axis] = x[axis];
    walk.stride[axis] = turns ? -strides[axis] : strides[axis];
    walk.start += turns ? (x[axis] - 1) * strides[axis] : 0;
  }
  return walk;
}

template <class Run>
void forward(const Flip& flip, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Gather{at.x[0], flipped(flip, at.xShape[0])});
}

template <class Run>
void backward(const Flip& flip, const Backward& at, Run& run) {
  run.map(at.dx[0], elementCount(at.xShape[0]), Gather{at.dy[0], flipped(flip, at.xShape[0])});
}

}  // namespace resnode
