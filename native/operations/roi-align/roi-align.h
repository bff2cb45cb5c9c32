// Three layers of the same name. Corners: roi_align_layer.cpp of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn),
// which samples each corner of a bin. Maximum: roi_align_layer.cpp of Mask R-CNN for Caffe
// (github.com/jasjeetIM/Mask-RCNN), which weights the first four pixels of a bin by their distance from four points of
// the region. Mean: arXiv:1703.06870, section 3, as Detectron and torchvision compute it.
#pragma once

#include <cfloat>

#include "native/core/regions.h"

namespace resnode {

inline int64_t scratchFloats(const RoiAlign&, const Shapes& inputs) { return inputs[1][0]; }

// Pixels of a plane and their weights.
template <class Real>
struct Taps {
  int64_t at[4];
  Real weight[4];
  int count;

  RESNODE_HOST_DEVICE void add(int64_t pixel, Real share) {
    at[count] = pixel;
    weight[count++] = share;
  }
  RESNODE_HOST_DEVICE Real sum(const float* plane) const {
    Real total = 0;
    for (int i = 0; i < count; ++i) total += Real(plane[at[i]]) * weight[i];
    return total;
  }
};

// The samples of a bin along one axis: sample i is at first + i · step. Those that can be inside the plane are [from,
// to).
struct SampledAxis {
  float first, step, count;
  int64_t from, to;
};

struct AlignedRegions {
  const float *x, *regions;
  int64_t images, channels, height, width, tall, wide;
  float scale;
  RoiAlignForm form;
  int64_t ratio;
  bool aligned;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t from = planeOf(i);
    if (from < 0) return 0;
    Real total = 0;
    const float none =
        taps<Real>(x + from, i, [&](const Taps<Real>& of, Real share) { total += of.sum(x + from) * share; });
    return static_cast<float>(total) + none;
  }
  template <class Real>
  RESNODE_HOST_DEVICE void addDiff(int64_t i, float dy, float* dx) const {
    const int64_t from = planeOf(i);
    if (from < 0) return;
    taps<Real>(x + from, i, [&](const Taps<Real>& of, Real share) {
      for (int k = 0; k < of.count; ++k) dx[from + of.at[k]] += static_cast<float>(Real(dy) * of.weight[k] * share);
    });
  }

  RESNODE_HOST_DEVICE const float* regionOf(int64_t i) const { return regions + i / (wide * tall * channels) * 5; }
  // Where the plane for a value of y begins in x; −1: there is no region.
  RESNODE_HOST_DEVICE int64_t planeOf(int64_t i) const {
    const float at = regionOf(i)[0];
    const int64_t image = saturated(at);
    if (!(at >= 0) || image >= images) return -1;
    return (image * channels + i / (wide * tall) % channels) * height * width;
  }
  // Calls add(taps, share) for the parts of a value of y, and returns a constant to add.
  template <class Real, class Add>
  RESNODE_HOST_DEVICE float taps(const float* plane, int64_t i, const Add& add) const {
    const int64_t column = i % wide, row = i / wide % tall;
    const float* region = regionOf(i);
    if (form == RoiAlignForm::maximum) return largest<Real>(plane, region, row, column, add);
    if (form == RoiAlignForm::mean) mean<Real>(region, row, column, add);
    else corner<Real>(region, row, column, add);
    return 0;
  }

  template <class Real>
  RESNODE_HOST_DEVICE static Real within(Real value, Real least, Real most) {
    return value < least ? least : value > most ? most : value;
  }

  // The four pixels around a position in the plane; at its edges, the outermost ones.
  template <class Real>
  RESNODE_HOST_DEVICE Taps<Real> bilinear(Real y, Real x) const {
    y = within(y, Real(0), Real(height - 1));
    x = within(x, Real(0), Real(width - 1));
    const int64_t top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
    const int64_t bottom = between(top + 1, height - 1), right = between(left + 1, width - 1);
    const Real below = y - Real(top), beside = x - Real(left);
    Taps<Real> found;
    found.count = 0;
    found.add(top * width + left, (1 - below) * (1 - beside));
    found.add(top * width + right, (1 - below) * beside);
    found.add(bottom * width + left, below * (1 - beside));
    found.add(bottom * width + right, below * beside);
    return found;
  }

  // The corner of a bin, where pixel centres are at halves.
  template <class Real, class Add>
  RESNODE_HOST_DEVICE void corner(const float* region, int64_t row, int64_t column, const Add& add) const {
    const Real left = Real(region[1]) * scale - Real(0.5), top = Real(region[2]) * scale - Real(0.5);
    const Real across = Real(region[3]) * scale - Real(0.5) - left, down = Real(region[4]) * scale - Real(0.5) - top;
    if (!(down > 0 && across > 0)) return;
    const Real y = top + Real(row) * (down / Real(tall - 1)), x = left + Real(column) * (across / Real(wide - 1));
    const Real half = Real(0.5);
    if (!(y >= -half && y <= Real(height) - half && x >= -half && x <= Real(width) - half)) return;
    add(bilinear<Real>(y, x), Real(1));
  }

  // roi_align_kernel of torchvision in float32, which decides the number of samples in a bin.
  RESNODE_HOST_DEVICE SampledAxis axis(float from, float to, int64_t bin, int64_t bins, int64_t length) const {
    const float start = from * scale - (aligned ? 0.5f : 0.0f);
    float size = to * scale - (aligned ? 0.5f : 0.0f) - start;
    if (!aligned && !(size > 1)) size = 1;
    const float each = size / static_cast<float>(bins), begin = start + static_cast<float>(bin) * each;
    const float count = ratio > 0 ? static_cast<float>(ratio) : std::ceil(each);
    const float step = each / count, first = begin + 0.5f * step;
    if (ratio > 0) return {first, step, count, 0, ratio};
    if (!(count >= 1)) return {first, step, 0, 0, 0};
    // A region may be far larger than the plane. Its samples are half a pixel to one pixel apart.
    const float before = within((-1 - first) / step - 1, 0.0f, count),
                last = within((static_cast<float>(length) - first) / step + 2, 0.0f, count);
    return {first, step, count, static_cast<int64_t>(before), static_cast<int64_t>(last)};
  }

  template <class Real, class Add>
  RESNODE_HOST_DEVICE void mean(const float* region, int64_t row, int64_t column, const Add& add) const {
    const SampledAxis down = axis(region[2], region[4], row, tall, height),
                      across = axis(region[1], region[3], column, wide, width);
    const Real samples = Real(down.count) * Real(across.count), share = 1 / (samples > 1 ? samples : Real(1));
    for (int64_t h = down.from; h < down.to; ++h) {
      const Real y = Real(down.first) + Real(h) * Real(down.step);
      if (!(y >= -1 && y <= Real(height))) continue;
      for (int64_t w = across.from; w < across.to; ++w) {
        const Real x = Real(across.first) + Real(w) * Real(across.step);
        if (x >= -1 && x <= Real(width)) add(bilinear<Real>(y, x), share);
      }
    }
  }

  // The nearness of a pixel to a point of its region, both from −1 to 1: 1 at the point, 0 at a distance of 1.
  RESNODE_HOST_DEVICE static float nearness(float place, int64_t pixel, float from, float to) {
    const float at = within(2 * (static_cast<float>(pixel) - from) / (to - from) - 1, -1.0f, 1.0f);
    const float near = 1 - std::fabs(place - at);
    return near > 0 ? near : 0;
  }

  template <class Real, class Add>
  RESNODE_HOST_DEVICE float largest(const float* plane, const float* region, int64_t row, int64_t column,
                                    const Add& add) const {
    const float left = region[1] * scale, top = region[2] * scale, right = region[3] * scale,
                bottom = region[4] * scale;
    const float across =
        right - left + 1 > 1 ? (right - left + 1) / static_cast<float>(wide) : 1 / static_cast<float>(wide);
    const float down =
        bottom - top + 1 > 1 ? (bottom - top + 1) / static_cast<float>(tall) : 1 / static_cast<float>(tall);
    const auto cut = [](float at, int64_t most) { return within(at, 0.0f, static_cast<float>(most)); };
    const float y0 = cut(static_cast<float>(row) * down + top, height),
                y1 = cut(static_cast<float>(row + 1) * down + top, height);
    const float x0 = cut(static_cast<float>(column) * across + left, width),
                x1 = cut(static_cast<float>(column + 1) * across + left, width);
    if (!(y1 >= y0 && x1 >= x0)) return 0;
    // Mask R-CNN's kernel reads the next row if a bin ends at the plane's edge; here a plane ends there.
    const int64_t firstRow = saturated(std::ceil(y0)), lastRow = between(saturated(std::floor(y1)), height - 1);
    const int64_t firstColumn = saturated(std::ceil(x0)), lastColumn = between(saturated(std::floor(x1)), width - 1);
    Real most = y1 > y0 && x1 > x0 ? Real(-FLT_MAX) : Real(0);
    const float none = static_cast<float>(most);
    Taps<Real> best;
    best.count = 0;
    bool isFound = false;
    for (int sample = 0; sample < 4; ++sample) {
      const float atColumn = sample < 2 ? -0.5f : 0.5f, atRow = sample % 2 == 0 ? -0.5f : 0.5f;
      Taps<Real> of;
      of.count = 0;
      for (int64_t h = firstRow; h <= lastRow && of.count < 4; ++h) {
        for (int64_t w = firstColumn; w <= lastColumn && of.count < 4; ++w)
          of.add(h * width + w, Real(nearness(atColumn, w, left, right)) * Real(nearness(atRow, h, top, bottom)));
      }
      const Real sum = of.sum(plane);
      if (!(sum > most)) continue;
      most = sum;
      best = of;
      isFound = true;
    }
    if (!isFound) return none;
    add(best, Real(1));
    return 0;
  }
};

inline AlignedRegions alignedRegions(const RoiAlign& op, const std::vector<const float*>& x, const Shapes& xs,
                                     const Shape& y) {
  return {x[0], x[1], xs[0][0],        xs[0][1], xs[0][2],         xs[0][3],
          y[2], y[3], op.spatialScale, op.form,  op.samplingRatio, op.aligned};
}

template <class Run>
void forward(const RoiAlign& op, const Forward& at, Run& run) {
  checkRegions(at.x[1], at.xShape[1][0], at.xShape[0][0], at.scratch, run);
  run.map(at.y[0], elementCount(at.yShape[0]), alignedRegions(op, at.x, at.xShape, at.yShape[0]));
}

template <class Run>
void backward(const RoiAlign& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  run.each(at.xShape[0][1], RegionsDiff<AlignedRegions>{alignedRegions(op, at.x, at.xShape, at.yShape[0]), at.dy[0],
                                                        at.dx[0], at.xShape[1][0], at.yShape[0][2] * at.yShape[0][3]});
}

}  // namespace resnode
