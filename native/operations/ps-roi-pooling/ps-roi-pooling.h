// psroi_pooling_layer.cu of R-FCN (github.com/daijifeng001/caffe-rfcn; arXiv:1605.06409, section 2).
#pragma once

#include "native/core/regions.h"

namespace resnode {

inline int64_t scratchFloats(const PsRoiPooling&, const Shapes& inputs) { return inputs[1][0]; }

struct SensitiveBins {
  const float *x, *regions;
  int64_t images, channels, height, width, outputs, group;
  float scale;

  RESNODE_HOST_DEVICE Bin bin(float from, float to, int64_t index, int64_t size) const {
    const float start = bounded(std::round(from) * scale), end = bounded((std::round(to) + 1) * scale);
    const float each = (end - start > 0.1f ? end - start : 0.1f) / static_cast<float>(group);
    return {between(saturated(std::floor(static_cast<float>(index) * each + start)), size),
            between(saturated(std::ceil(static_cast<float>(index + 1) * each + start)), size)};
  }
  // The source of a value of y.
  struct Place {
    int64_t plane;  // −1: no region
    Bin rows, columns;
    RESNODE_HOST_DEVICE int64_t area() const {
      return rows.end > rows.start && columns.end > columns.start
                 ? (rows.end - rows.start) * (columns.end - columns.start)
                 : 0;
    }
  };
  RESNODE_HOST_DEVICE Place place(int64_t i) const {
    const int64_t column = i % group, row = i / group % group, output = i / (group * group) % outputs;
    const float* region = regions + i / (group * group * outputs) * 5;
    const int64_t image = imageOf(region, images);
    if (image < 0) return {-1, {0, 0}, {0, 0}};
    return {image * channels + (output * group + row) * group + column, bin(region[2], region[4], row, height),
            bin(region[1], region[3], column, width)};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const Place at = place(i);
    if (at.plane < 0 || at.area() == 0) return 0;
    Real sum = 0;
    for (int64_t h = at.rows.start; h < at.rows.end; ++h) {
      for (int64_t w = at.columns.start; w < at.columns.end; ++w) sum += Real(x[(at.plane * height + h) * width + w]);
    }
    return static_cast<float>(sum / Real(at.area()));
  }
  template <class Real>
  RESNODE_HOST_DEVICE void addDiff(int64_t i, float diff, float* dx) const {
    const Place at = place(i);
    if (at.plane < 0 || at.area() == 0) return;
    const float share = diff / static_cast<float>(at.area());
    for (int64_t h = at.rows.start; h < at.rows.end; ++h) {
      for (int64_t w = at.columns.start; w < at.columns.end; ++w) dx[(at.plane * height + h) * width + w] += share;
    }
  }
};

inline SensitiveBins sensitiveBins(const PsRoiPooling& op, const std::vector<const float*>& x, const Shapes& xs,
                                   const Shape& y) {
  return {x[0], x[1], xs[0][0], xs[0][1], xs[0][2], xs[0][3], y[1], op.group, op.spatialScale};
}

template <class Run>
void forward(const PsRoiPooling& op, const Forward& at, Run& run) {
  checkRegions(at.x[1], at.xShape[1][0], at.xShape[0][0], at.scratch, run);
  run.map(at.y[0], elementCount(at.yShape[0]), sensitiveBins(op, at.x, at.xShape, at.yShape[0]));
}

template <class Run>
void backward(const PsRoiPooling& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  // A channel is one bin of one output.
  run.each(at.xShape[0][1], RegionsDiff<SensitiveBins>{sensitiveBins(op, {nullptr, at.x[1]}, at.xShape, at.yShape[0]),
                                                       at.dy[0], at.dx[0], at.xShape[1][0], 1});
}

}  // namespace resnode
