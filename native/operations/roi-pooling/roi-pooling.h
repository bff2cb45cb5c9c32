// roi_pooling_layer.cpp and .cu of Fast R-CNN (github.com/rbgirshick/caffe-fast-rcnn; arXiv:1504.08083, section 2.1).
#pragma once

#include "native/core/regions.h"

namespace resnode {

inline int64_t scratchFloats(const RoiPooling&, const Shapes& inputs) { return inputs[1][0]; }

struct RegionBins {
  const float *x, *regions;
  int64_t images, channels, height, width, tall, wide;
  float scale;

  RESNODE_HOST_DEVICE Bin bin(float from, float to, int64_t index, int64_t bins, int64_t size) const {
    const int64_t start = saturated(std::round(from * scale)), end = saturated(std::round(to * scale));
    return binOf(start, end, index, bins, size);
  }
  // The index in x of the maximum for a value of y; −1: its bin is empty.
  RESNODE_HOST_DEVICE int64_t maximum(int64_t i) const {
    const int64_t column = i % wide, row = i / wide % tall, channel = i / (wide * tall) % channels;
    const float* region = regions + i / (wide * tall * channels) * 5;
    const int64_t image = imageOf(region, images);
    if (image < 0) return -1;
    const Bin rows = bin(region[2], region[4], row, tall, height),
              columns = bin(region[1], region[3], column, wide, width);
    const int64_t plane = (image * channels + channel) * height * width;
    int64_t found = -1;
    for (int64_t h = rows.start; h < rows.end; ++h) {
      for (int64_t w = columns.start; w < columns.end; ++w) {
        const int64_t at = plane + h * width + w;
        if (found < 0 || x[at] > x[found]) found = at;
      }
    }
    return found;
  }
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return valueAt(x, maximum(i));
  }
  template <class Real>
  RESNODE_HOST_DEVICE void addDiff(int64_t i, float diff, float* dx) const {
    addDiffAt(maximum(i), diff, dx);
  }
};

inline RegionBins regionBins(const RoiPooling& op, const std::vector<const float*>& x, const Shapes& xs,
                             const Shape& y) {
  return {x[0], x[1], xs[0][0], xs[0][1], xs[0][2], xs[0][3], y[2], y[3], op.spatialScale};
}

template <class Run>
void forward(const RoiPooling& op, const Forward& at, Run& run) {
  checkRegions(at.x[1], at.xShape[1][0], at.xShape[0][0], at.scratch, run);
  run.map(at.y[0], elementCount(at.yShape[0]), regionBins(op, at.x, at.xShape, at.yShape[0]));
}

template <class Run>
void backward(const RoiPooling& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  run.each(at.xShape[0][1], RegionsDiff<RegionBins>{regionBins(op, at.x, at.xShape, at.yShape[0]), at.dy[0], at.dx[0],
                                                    at.xShape[1][0], at.yShape[0][2] * at.yShape[0][3]});
}

}  // namespace resnode
