// permute_layer.cpp of SSD (github.com/weiliu89/caffe): axis i of the top is axis order[i] of the bottom.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// The positions of a permuted tensor's values in its source.
inline Walk permuted(const Shape& source, const std::vector<int64_t>& order) {
  const std::vector<int64_t> strides = stridesOf(source);
  Walk walk;
  walk.axes = static_cast<int>(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    walk.size[i] = source[order[i]];
    walk.stride[i] = strides[order[i]];
  }
  return walk;
}

template <class Run>
void forward(const Permute& permute, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Gather{at.x[0], permuted(at.xShape[0], permute.order)});
}

template <class Run>
void backward(const Permute& permute, const Backward& at, Run& run) {
  std::vector<int64_t> back(permute.order.size());
  for (size_t i = 0; i < back.size(); ++i) back[permute.order[i]] = static_cast<int64_t>(i);
  run.map(at.dx[0], elementCount(at.xShape[0]), Gather{at.dy[0], permuted(at.yShape[0], back)});
}

}  // namespace resnode
