// crop_layer.cpp: offsets from the start of each axis. Outside the region the diff is 0.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct CropDiff {
  const float* dy;
  Walk region;  // y's region in x's coordinates: sizes are y's, strides x's
  int64_t offset[kMostPortableAxes], size[kMostPortableAxes];

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    int64_t place = 0, stride = 1;
    for (int axis = region.axes - 1; axis >= 0; --axis) {
      const int64_t at = i % size[axis] - offset[axis];
      if (at < 0 || at >= region.size[axis]) return 0;
      place += at * stride;
      stride *= region.size[axis];
      i /= size[axis];
    }
    return dy[place];
  }
};

inline Walk regionOf(const Crop& crop, const Shape& x, const Shape& y) {
  Walk walk;
  walk.axes = static_cast<int>(x.size());
  const std::vector<int64_t> strides = stridesOf(x);
  for (size_t i = 0; i < x.size(); ++i) {
    walk.size[i] = y[i];
    walk.stride[i] = strides[i];
    walk.start += crop.offset[i] * strides[i];
  }
  return walk;
}

template <class Run>
void forward(const Crop& crop, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Gather{at.x[0], regionOf(crop, at.xShape[0], at.yShape[0])});
}

template <class Run>
void backward(const Crop& crop, const Backward& at, Run& run) {
  CropDiff diff{at.dy[0], regionOf(crop, at.xShape[0], at.yShape[0]), {}, {}};
  for (size_t i = 0; i < crop.offset.size(); ++i) {
    diff.offset[i] = crop.offset[i];
    diff.size[i] = at.xShape[0][i];
  }
  run.map(at.dx[0], elementCount(at.xShape[0]), diff);
}

}  // namespace resnode
