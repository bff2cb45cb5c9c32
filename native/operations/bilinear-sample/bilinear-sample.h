// Samples bilinearly at computed points: Warp of LiteFlowNet (github.com/twhui/LiteFlowNet, warp_layer.cpp) and PWC-Net
// (github.com/NVlabs/PWC-Net, warping_code), FlowWarp of FlowNet 2 (github.com/lmb-freiburg/flownet2,
// flow_warp_layer.cpp), and the sampler of spatial transformers (arXiv:1506.02025).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// A point's position along one axis: between two pixels, of which the second has the weight `share`.
struct SamplePoint {
  int64_t first, second;
  float share;
};

struct Sampling {
  SampleOutside outside;
  SampleSlope slope;
  bool relative;
  int64_t channels, height, width, tall, wide;  // of x, of y

  Sampling(const BilinearSample& op, const Shape& x, const Shape& y)
      : outside(op.outside),
        slope(op.slope),
        relative(op.relative),
        channels(x[1]),
        height(x[2]),
        width(x[3]),
        tall(y[2]),
        wide(y[3]) {}
  RESNODE_HOST_DEVICE int64_t places() const { return tall * wide; }

  // False: the point is outside and its sample is 0.
  RESNODE_HOST_DEVICE bool point(const float* points, int64_t item, int64_t place, SamplePoint& row,
                                 SamplePoint& column) const {
    const float* of = points + item * 2 * places();
    const int64_t atRow = place / wide, atColumn = place % wide;
    const float x = of[place] + (relative ? static_cast<float>(atColumn) : 0.0f),
                y = of[places() + place] + (relative ? static_cast<float>(atRow) : 0.0f);
    return along(x, width, column) && along(y, height, row);
  }
  RESNODE_HOST_DEVICE bool along(float at, int64_t size, SamplePoint& found) const {
    const float end = static_cast<float>(size);
    // This also rejects NaN and what does not fit an integer.
    if (!(at >= -1 && at < end)) return false;
    if (outside != SampleOutside::neighbours && at < 0) return false;
    if (outside == SampleOutside::points && at > end - 1) return false;
    const float floor = std::floor(at);
    const int64_t first = static_cast<int64_t>(floor);
    const int64_t last = size - 1;
    const bool isHeld = outside != SampleOutside::neighbours && first == last;
    found = {first, isHeld ? last : first + 1, at - floor};
    return true;
  }
  RESNODE_HOST_DEVICE float valueAt(const float* plane, int64_t y, int64_t x) const {
    return y < 0 || x < 0 || y >= height || x >= width ? 0.0f : plane[y * width + x];
  }
};

struct SampledValue {
  const float *x, *points;
  Sampling s;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t plane = i / s.places(), place = i % s.places();
    SamplePoint row, column;
    if (!s.point(points, plane / s.channels, place, row, column)) return 0;
    const float* of = x + plane * s.height * s.width;
    const auto across = [&](int64_t y) {
      return Real(s.valueAt(of, y, column.first)) * (Real(1) - Real(column.share)) +
             Real(s.valueAt(of, y, column.second)) * Real(column.share);
    };
    return static_cast<float>(across(row.first) * (Real(1) - Real(row.share)) + across(row.second) * Real(row.share));
  }
};

// Computes one plane of dx.
struct SampledDiff {
  const float *points, *dy;
  float* dx;
  Sampling s;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t plane) const {
    float* made = dx + plane * s.height * s.width;
    for (int64_t i = 0; i < s.height * s.width; ++i) made[i] = 0;
    for (int64_t place = 0; place < s.places(); ++place) {
      SamplePoint row, column;
      if (!s.point(points, plane / s.channels, place, row, column)) continue;
      const Real diff = dy[plane * s.places() + place], below = row.share, right = column.share;
      const auto add = [&](int64_t y, int64_t x, Real share) {
        if (y < 0 || x < 0 || y >= s.height || x >= s.width) return;
        made[y * s.width + x] = static_cast<float>(Real(made[y * s.width + x]) + share * diff);
      };
      add(row.first, column.first, (1 - below) * (1 - right));
      add(row.first, column.second, (1 - below) * right);
      add(row.second, column.first, below * (1 - right));
      add(row.second, column.second, below * right);
    }
  }
};

// The diff of a point's x or y: the sum over channels of the slope in that direction times the channel's diff.
struct PointDiff {
  const float *x, *points, *dy;
  Sampling s;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t c) const {
    const int64_t item = i / (2 * s.places()), place = i % s.places();
    const bool isVertical = i / s.places() % 2 != 0;
    SamplePoint row, column;
    if (!s.point(points, item, place, row, column)) return {0, 0};
    const float* plane = x + (item * s.channels + c) * s.height * s.width;
    const SamplePoint &along = isVertical ? row : column, &across = isVertical ? column : row;
    const auto valueAt = [&](int64_t a, int64_t b) {
      return Real(isVertical ? s.valueAt(plane, a, b) : s.valueAt(plane, b, a));
    };
    const Real share = across.share;
    const Real slope = slopeAt<Real>(along, across.first, isVertical ? s.height : s.width, valueAt) * (1 - share) +
                       slopeAt<Real>(along, across.second, isVertical ? s.height : s.width, valueAt) * share;
    return {static_cast<double>(slope) * dy[(item * s.channels + c) * s.places() + place], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }

 private:
  template <class Real, class ValueAt>
  RESNODE_HOST_DEVICE Real slopeAt(const SamplePoint& along, int64_t b, int64_t size, const ValueAt& valueAt) const {
    const int64_t at = along.first;
    const Real here = valueAt(at, b);
    if (s.slope == SampleSlope::right || along.share != 0) return valueAt(along.second, b) - here;
    if (s.slope == SampleSlope::pixel) return here;
    const Real before = at > 0 ? here - valueAt(at - 1, b) : Real(0);
    const Real behind = at + 1 < size ? valueAt(at + 1, b) - here : Real(0);
    return (before + behind) / 2;
  }
};

template <class Run>
void forward(const BilinearSample& op, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]),
          SampledValue{at.x[0], at.x[1], Sampling(op, at.xShape[0], at.yShape[0])});
}

template <class Run>
void backward(const BilinearSample& op, const Backward& at, Run& run) {
  const Sampling s(op, at.xShape[0], at.yShape[0]);
  if (at.dx[0]) run.each(at.xShape[0][0] * at.xShape[0][1], SampledDiff{at.x[1], at.dy[0], at.dx[0], s});
  run.sums(at.dx[1], elementCount(at.xShape[1]), s.channels, PointDiff{at.x[0], at.x[1], at.dy[0], s});
}

}  // namespace resnode
