// prior_box_layer.cpp of SSD (github.com/weiliu89/caffe; arXiv:1512.02325, section 2.2). ts/layers/prior-box.ts
// determines the boxes of a cell.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct PriorBoxValues {
  float width[kMostBoxesOfCell], height[kMostBoxesOfCell], x[kMostBoxesOfCell], y[kMostBoxesOfCell], variance[4];
  int64_t boxes, rows, columns;
  float imageHeight, imageWidth, stepHeight, stepWidth, offset;
  bool clip;

  explicit PriorBoxValues(const PriorBoxes& op)
      : boxes(static_cast<int64_t>(op.widths.size())),
        rows(op.height),
        columns(op.width),
        imageHeight(op.imageHeight),
        imageWidth(op.imageWidth),
        stepHeight(op.stepHeight),
        stepWidth(op.stepWidth),
        offset(op.offset),
        clip(op.clip) {
    for (int64_t i = 0; i < boxes; ++i) {
      width[i] = op.widths[i];
      height[i] = op.heights[i];
      x[i] = op.xs[i];
      y[i] = op.ys[i];
    }
    for (int64_t i = 0; i < 4; ++i) variance[i] = op.variances[i];
  }

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t half = rows * columns * boxes * 4, side = i % 4;
    if (i >= half) return variance[side];
    const int64_t box = i / 4 % boxes, w = i / (4 * boxes) % columns, h = i / (4 * boxes * columns);
    const bool across = side % 2 == 0;
    const Real centre =
        (Real(across ? w : h) + Real(offset)) * Real(across ? stepWidth : stepHeight) + Real(across ? x[box] : y[box]);
    const Real length = across ? width[box] : height[box], image = across ? imageWidth : imageHeight;
    const Real at = (side < 2 ? centre - length / 2 : centre + length / 2) / image;
    return static_cast<float>(!clip ? at : at < 0 ? Real(0) : at > 1 ? Real(1) : at);
  }
};

template <class Run>
void forward(const PriorBoxes& op, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), PriorBoxValues(op));
}

}  // namespace resnode
