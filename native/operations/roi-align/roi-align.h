// roi_align_layer.cpp of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn); its corners are those of its bins.
#pragma once

#include "native/core/regions.h"

namespace resnode {

inline int64_t scratchFloats(const RoiAlign&, const Shapes& inputs) { return inputs[1][0]; }

struct AlignedRegions {
  const float *x, *regions;
  int64_t images, channels, height, width, tall, wide;
  float scale;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t column = i % wide, row = i / wide % tall, channel = i / (wide * tall) % channels;
    const float* region = regions + i / (wide * tall * channels) * 5;
    const int64_t image = static_cast<int64_t>(region[0]);
    if (!(region[0] >= 0) || image >= images) return 0;
    const float* plane = x + (image * channels + channel) * height * width;
    return static_cast<float>(corner<Real>(plane, region, row, column));
  }

  template <class Real>
  RESNODE_HOST_DEVICE static Real within(Real value, Real most) {
    return value < 0 ? Real(0) : value > most ? most : value;
  }

  // The value at a corner of the bins, of pixels whose centres lie at halves.
  template <class Real>
  RESNODE_HOST_DEVICE Real corner(const float* plane, const float* region, int64_t row, int64_t column) const {
    const Real left = Real(region[1]) * scale - Real(0.5), top = Real(region[2]) * scale - Real(0.5);
    const Real across = Real(region[3]) * scale - Real(0.5) - left, down = Real(region[4]) * scale - Real(0.5) - top;
    if (down <= 0 || across <= 0) return 0;
    const Real y = top + Real(row) * (down / Real(tall - 1)), x = left + Real(column) * (across / Real(wide - 1));
    if (y < Real(-0.5) || y > Real(height) - Real(0.5) || x < Real(-0.5) || x > Real(width) - Real(0.5)) return 0;
    const int64_t h = static_cast<int64_t>(std::floor(y)), w = static_cast<int64_t>(std::floor(x));
    const int64_t rows[2] = {between(h, height - 1), between(h + 1, height - 1)},
                  columns[2] = {between(w, width - 1), between(w + 1, width - 1)};
    const Real below = within(y, Real(height - 1)) - Real(rows[0]),
               right = within(x, Real(width - 1)) - Real(columns[0]);
    const auto line = [&](int64_t h) {
      return Real(plane[h * width + columns[0]]) * (1 - right) + Real(plane[h * width + columns[1]]) * right;
    };
    return line(rows[0]) * (1 - below) + line(rows[1]) * below;
  }
};

template <class Run>
void forward(const RoiAlign& op, const Forward& at, Run& run) {
  checkRegions(at.x[1], at.xShape[1][0], at.xShape[0][0], at.scratch, run);
  const Shape &x = at.xShape[0], &y = at.yShape[0];
  run.map(at.y[0], elementCount(y),
          AlignedRegions{at.x[0], at.x[1], x[0], x[1], x[2], x[3], y[2], y[3], op.spatialScale});
}

}  // namespace resnode
