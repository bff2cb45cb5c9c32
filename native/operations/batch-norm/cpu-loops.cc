#include "native/operations/batch-norm/cpu-loops.h"

#include <algorithm>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// How many rows are summed in float32 before the sums are added in float64.
constexpr int64_t kRows = 64;

// A strip as rows of kLanes lanes, or of `lanes` lanes if it is 0. The plane of a single channel is rows of 16 values
// with equal constants, and one short row.
struct Rows {
  int64_t count, stride, lanes;
};

template <int kLanes>
RESNODE_INLINE void accumulate(const float* x, const Rows& rows, const float* shift, double* sum, double* squares) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  for (int64_t begin = 0; begin < rows.count; begin += kRows) {
    const int64_t end = std::min(begin + kRows, rows.count);
    float first[kStrip] = {}, second[kStrip] = {};
    for (int64_t r = begin; r < end; ++r) {
      const float* row = x + r * rows.stride;
      for (int64_t l = 0; l < lanes; ++l) {
        const float value = row[l] - shift[l];
        first[l] += value;
        second[l] += value * value;
      }
    }
    for (int64_t l = 0; l < lanes; ++l) {
      sum[l] += first[l];
      squares[l] += second[l];
    }
  }
}

// A Normalisation in registers. The formula whose sign decides the ReLU is shared, because the gradient must decide as
// the forward pass did.
struct Lanes {
  double mean[kStrip], scale[kStrip], bias[kStrip];
  RESNODE_INLINE Lanes(const Normalisation& by, int64_t lanes) {
    std::copy_n(by.mean, lanes, mean);
    std::copy_n(by.scale, lanes, scale);
    std::copy_n(by.bias, lanes, bias);
  }
  RESNODE_INLINE double distance(float x, int64_t l) const { return x - mean[l]; }
  RESNODE_INLINE float z(double distance, int64_t l) const { return static_cast<float>(distance * scale[l] + bias[l]); }
};

template <int kLanes>
RESNODE_INLINE void normaliseRows(const float* x, float* y, const Rows& rows, const Normalisation& by) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  const Lanes lane(by, lanes);
  const float slope = by.slope;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float* from = x + r * rows.stride;
    float* to = y + r * rows.stride;
#pragma omp simd
    for (int64_t l = 0; l < lanes; ++l) {
      const float z = lane.z(lane.distance(from[l], l), l);
      to[l] = z > 0 ? z : z * slope;
    }
  }
}

template <int kLanes>
RESNODE_INLINE void normaliseAndAddRows(const float* x, const float* residual, float* y, const Rows& rows,
                                        const Normalisation& by) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  const Lanes lane(by, lanes);
  const float slope = by.slope;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float *from = x + r * rows.stride, *add = residual + r * rows.stride;
    float* to = y + r * rows.stride;
#pragma omp simd
    for (int64_t l = 0; l < lanes; ++l) {
      const float z = lane.z(lane.distance(from[l], l), l) + add[l];
      to[l] = z > 0 ? z : z * slope;
    }
  }
}

template <int kLanes>
RESNODE_INLINE void accumulateGradient(const float* x, const float* dy, const Rows& rows, const Normalisation& by,
                                       double* sum, double* product) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  const Lanes lane(by, lanes);
  const float slope = by.slope;
  for (int64_t begin = 0; begin < rows.count; begin += kRows) {
    const int64_t end = std::min(begin + kRows, rows.count);
    float first[kStrip] = {}, second[kStrip] = {};
    for (int64_t r = begin; r < end; ++r) {
      const float *row = x + r * rows.stride, *diff = dy + r * rows.stride;
#pragma omp simd
      for (int64_t l = 0; l < lanes; ++l) {
        const double distance = lane.distance(row[l], l);
        const float centred = static_cast<float>(distance), z = lane.z(distance, l);
        const float dz = z > 0 ? diff[l] : diff[l] * slope;
        first[l] += dz;
        second[l] += dz * centred;
      }
    }
    for (int64_t l = 0; l < lanes; ++l) {
      sum[l] += first[l];
      product[l] += second[l];
    }
  }
}

template <int kLanes>
RESNODE_INLINE void gradientRows(const float* x, const float* dy, float* dx, const Rows& rows, const Normalisation& by,
                                 const float* shares, const float* slopes) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  float factor[kStrip], share[kStrip], slopeOfX[kStrip];
  const Lanes lane(by, lanes);
  std::copy_n(by.scale, lanes, factor);
  std::copy_n(shares, lanes, share);
  std::copy_n(slopes, lanes, slopeOfX);
  const float slope = by.slope;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float *row = x + r * rows.stride, *diff = dy + r * rows.stride;
    float* to = dx + r * rows.stride;
#pragma omp simd
    for (int64_t l = 0; l < lanes; ++l) {
      const double distance = lane.distance(row[l], l);
      const float centred = static_cast<float>(distance), z = lane.z(distance, l);
      const float dz = z > 0 ? diff[l] : diff[l] * slope;
      to[l] = factor[l] * (dz - share[l] - centred * slopeOfX[l]);
    }
  }
}

template <int kLanes>
RESNODE_INLINE void scaledRows(const float* y, const float* dy, float* dx, const Rows& rows, const float* scale,
                               float slope) {
  const int64_t lanes = kLanes ? kLanes : rows.lanes;
  for (int64_t r = 0; r < rows.count; ++r) {
    const float *row = y + r * rows.stride, *diff = dy + r * rows.stride;
    float* to = dx + r * rows.stride;
#pragma omp simd
    for (int64_t l = 0; l < lanes; ++l) to[l] = scale[l] * (row[l] > 0 ? diff[l] : diff[l] * slope);
  }
}

// Full rows of 16 and of 8 lanes have their own loops.
#define RESNODE_BY_LANES(function, rows, ...)             \
  do {                                                    \
    if ((rows).lanes == 16) function<16>(__VA_ARGS__);    \
    else if ((rows).lanes == 8) function<8>(__VA_ARGS__); \
    else function<0>(__VA_ARGS__);                        \
  } while (false)

RESNODE_VECTORISED void sums(const float* x, const Rows& rows, const float* shift, double* sum, double* squares) {
  RESNODE_BY_LANES(accumulate, rows, x, rows, shift, sum, squares);
}
RESNODE_VECTORISED void apply(const float* x, const float* residual, float* y, const Rows& rows,
                              const Normalisation& by) {
  if (residual) RESNODE_BY_LANES(normaliseAndAddRows, rows, x, residual, y, rows, by);
  else RESNODE_BY_LANES(normaliseRows, rows, x, y, rows, by);
}
RESNODE_VECTORISED void diffSums(const float* x, const float* dy, const Rows& rows, const Normalisation& by,
                                 double* sum, double* product) {
  RESNODE_BY_LANES(accumulateGradient, rows, x, dy, rows, by, sum, product);
}
RESNODE_VECTORISED void diffs(const float* x, const float* dy, float* dx, const Rows& rows, const Normalisation& by,
                              const float* share, const float* slope) {
  RESNODE_BY_LANES(gradientRows, rows, x, dy, dx, rows, by, share, slope);
}

RESNODE_VECTORISED void scaled(const float* y, const float* dy, float* dx, const Rows& rows, const float* scale,
                               float slope) {
  RESNODE_BY_LANES(scaledRows, rows, y, dy, dx, rows, scale, slope);
}

// One channel's constants, repeated for each lane of a row.
template <class T>
struct Spread {
  T values[kStrip];
  explicit Spread(T value) { std::fill_n(values, kStrip, value); }
};

// The plane of a single channel as full rows and a short one: function(offset, rows).
template <class Function>
void forPlane(const Strip& strip, Function function) {
  const int64_t whole = strip.rows / kStrip;
  if (whole > 0) function(int64_t{0}, Rows{whole, kStrip, kStrip});
  if (strip.rows % kStrip > 0) function(whole * kStrip, Rows{1, kStrip, strip.rows % kStrip});
}

void fold(double* lanes) {
  for (int64_t l = 1; l < kStrip; ++l) lanes[0] += lanes[l];
}

}  // namespace

void momentsOf(const float* x, const Strip& strip, double* mean, double* squares) {
  x += strip.offset;
  // Deviations from one of the lane's own values, because sums of squares about 0 would cancel if the mean is large.
  float shift[kStrip] = {};
  double sum[kStrip] = {}, about[kStrip] = {};
  if (strip.stride == 1) {
    std::fill_n(shift, kStrip, x[0]);
    forPlane(strip, [&](int64_t offset, const Rows& rows) { sums(x + offset, rows, shift, sum, about); });
    fold(sum);
    fold(about);
  } else {
    std::copy_n(x, strip.lanes, shift);
    sums(x, {strip.rows, strip.stride, strip.lanes}, shift, sum, about);
  }
  const double count = static_cast<double>(strip.rows);
  for (int64_t l = 0; l < strip.lanes; ++l) {
    mean[l] = shift[l] + sum[l] / count;
    squares[l] = std::max(about[l] - sum[l] * sum[l] / count, 0.0);
  }
}

void normalise(const float* x, const float* residual, float* y, const Strip& strip, const Normalisation& by) {
  x += strip.offset;
  y += strip.offset;
  const auto add = [=](int64_t offset) { return residual ? residual + strip.offset + offset : nullptr; };
  if (strip.stride > 1) return apply(x, add(0), y, {strip.rows, strip.stride, strip.lanes}, by);
  const Spread<double> scale(by.scale[0]), bias(by.bias[0]);
  const Spread<float> mean(by.mean[0]);
  const Normalisation spread{scale.values, bias.values, mean.values, by.slope};
  forPlane(strip, [&](int64_t offset, const Rows& rows) { apply(x + offset, add(offset), y + offset, rows, spread); });
}

void gradientSums(const float* x, const float* dy, const Strip& strip, const Normalisation& by, double* sum,
                  double* product) {
  x += strip.offset;
  dy += strip.offset;
  std::fill_n(sum, kStrip, 0.0);
  std::fill_n(product, kStrip, 0.0);
  if (strip.stride > 1) return diffSums(x, dy, {strip.rows, strip.stride, strip.lanes}, by, sum, product);
  const Spread<double> scale(by.scale[0]), bias(by.bias[0]);
  const Spread<float> mean(by.mean[0]);
  const Normalisation spread{scale.values, bias.values, mean.values, by.slope};
  forPlane(strip,
           [&](int64_t offset, const Rows& rows) { diffSums(x + offset, dy + offset, rows, spread, sum, product); });
  fold(sum);
  fold(product);
}

void inputGradient(const float* x, const float* dy, float* dx, const Strip& strip, const Normalisation& by,
                   const float* share, const float* slope) {
  x += strip.offset;
  dy += strip.offset;
  dx += strip.offset;
  if (strip.stride > 1) return diffs(x, dy, dx, {strip.rows, strip.stride, strip.lanes}, by, share, slope);
  const Spread<double> scale(by.scale[0]), bias(by.bias[0]);
  const Spread<float> mean(by.mean[0]), shares(share[0]), slopes(slope[0]);
  const Normalisation spread{scale.values, bias.values, mean.values, by.slope};
  forPlane(strip, [&](int64_t offset, const Rows& rows) {
    diffs(x + offset, dy + offset, dx + offset, rows, spread, shares.values, slopes.values);
  });
}

void scaledGradient(const float* y, const float* dy, float* dx, const Strip& strip, const float* scale, float slope) {
  y += strip.offset;
  dy += strip.offset;
  dx += strip.offset;
  if (strip.stride > 1) return scaled(y, dy, dx, {strip.rows, strip.stride, strip.lanes}, scale, slope);
  const Spread<float> spread(scale[0]);
  forPlane(strip, [&](int64_t offset, const Rows& rows) {
    scaled(y + offset, dy + offset, dx + offset, rows, spread.values, slope);
  });
}

}  // namespace resnode::cpu
