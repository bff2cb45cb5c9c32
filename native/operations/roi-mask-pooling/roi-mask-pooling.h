// roi_mask_pooling_layer.cu of GBD-Net (github.com/craftGBD/caffe-GBD; arXiv:1610.02579), whose .cpp reads the sides of
// regions in another order. A value under the mask is compared as 0; if it is the largest so far, it is stored
// unchanged.
#pragma once

#include <cfloat>

#include "native/core/regions.h"

namespace resnode {

inline int64_t scratchFloats(const RoiMaskPooling&, const Shapes& inputs) { return inputs[1][0]; }

struct MaskedBins {
  const float *x, *regions;
  int64_t images, channels, height, width, tall, wide;
  float scale, shift, regionScale, maskScale;
  RegionPart part;

  // One side of the region along an axis: how it is clipped, and where its mask is.
  struct Side {
    int64_t start, end, maskStart, maskEnd;
  };
  RESNODE_HOST_DEVICE Side side(float from, float to, bool first, bool second) const {
    const float centre = (bounded(from) + bounded(to)) / 2, size = bounded(to) - bounded(from);
    const auto place = [&](float at) { return saturated(std::round(at * scale + shift)); };
    return {place(second ? centre : centre - size * regionScale / 2),
            place(first ? centre : centre + size * regionScale / 2), place(centre - size * maskScale / 2),
            place(centre + size * maskScale / 2)};
  }
  // The index in x of a value of y; −1: its bin is empty.
  RESNODE_HOST_DEVICE int64_t maximum(int64_t i) const {
    const int64_t channel = i / (wide * tall) % channels;
    const float* region = regions + i / (wide * tall * channels) * 5;
    const int64_t image = imageOf(region, images);
    if (image < 0) return -1;
    const Side across = side(region[1], region[3], part == RegionPart::left, part == RegionPart::right),
               down = side(region[2], region[4], part == RegionPart::top, part == RegionPart::bottom);
    const Bin rows = binOf(down.start, down.end, i / wide % tall, tall, height),
              columns = binOf(across.start, across.end, i % wide, wide, width);
    const int64_t plane = (image * channels + channel) * height * width;
    int64_t found = -1;
    for (int64_t h = rows.start; h < rows.end; ++h) {
      for (int64_t w = columns.start; w < columns.end; ++w) {
        const bool masked =
            maskScale > 0 && w >= across.maskStart && w <= across.maskEnd && h >= down.maskStart && h <= down.maskEnd;
        const int64_t at = plane + h * width + w;
        if (found < 0 || (masked ? 0.0f : x[at]) > x[found]) found = at;
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

inline MaskedBins maskedBins(const RoiMaskPooling& op, const std::vector<const float*>& x, const Shapes& xs,
                             const Shape& y) {
  return {x[0],     x[1],           xs[0][0],     xs[0][1], xs[0][2], xs[0][3], y[2], y[3], op.spatialScale,
          op.shift, op.regionScale, op.maskScale, op.part};
}

template <class Run>
void forward(const RoiMaskPooling& op, const Forward& at, Run& run) {
  checkRegions(at.x[1], at.xShape[1][0], at.xShape[0][0], at.scratch, run);
  run.map(at.y[0], elementCount(at.yShape[0]), maskedBins(op, at.x, at.xShape, at.yShape[0]));
}

template <class Run>
void backward(const RoiMaskPooling& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  run.each(at.xShape[0][1], RegionsDiff<MaskedBins>{maskedBins(op, at.x, at.xShape, at.yShape[0]), at.dy[0], at.dx[0],
                                                    at.xShape[1][0], at.yShape[0][2] * at.yShape[0][3]});
}

}  // namespace resnode
