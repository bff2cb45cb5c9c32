// mvn_layer.cpp. Its backward pass uses the deviation without eps for the gradient and with eps for the result: (dy −
// (y·Σ(y·dy) + Σdy)/n) / (√variance + eps).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch, per row: the mean, the deviation, Σdy/n and Σ(y·dy)/n.
inline int64_t scratchFloats(const Mvn& op, const Shapes&) { return 4 * op.outer; }

struct RowMean {
  const float* values;
  int64_t inner;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t row, int64_t j) const {
    return {values[row * inner + j], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(inner));
  }
};

struct RowDeviation {
  const float *x, *mean;
  int64_t inner;
  float eps;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t row, int64_t j) const {
    const double apart = static_cast<double>(x[row * inner + j]) - mean[row];
    return {apart * apart, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(std::sqrt(sums.a / static_cast<double>(inner)) + static_cast<double>(eps));
  }
};

struct Normalized {
  const float *x, *mean, *deviation;  // deviation: null if values are not divided by it
  int64_t inner;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t row = i / inner;
    const Real apart = Real(x[i]) - Real(mean[row]);
    return static_cast<float>(deviation ? apart / Real(deviation[row]) : apart);
  }
};

struct NormalizedTimesDiff {
  Normalized y;
  const float* dy;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t row, int64_t j) const {
    const int64_t i = row * y.inner + j;
    return {static_cast<double>(y.template value<Real>(i)) * dy[i], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(y.inner));
  }
};

struct NormalizedDiff {
  Normalized y;
  const float *dy, *meanOfDiffs, *meanOfProducts;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t row = i / y.inner;
    const Real diff = Real(dy[i]) - Real(meanOfDiffs[row]);
    if (!y.deviation) return static_cast<float>(diff);
    return static_cast<float>((diff - Real(y.template value<Real>(i)) * Real(meanOfProducts[row])) /
                              Real(y.deviation[row]));
  }
};

template <class Run>
Normalized normalized(const Mvn& op, const float* x, float* scratch, Run& run) {
  float *mean = scratch, *deviation = scratch + op.outer;
  run.sums(mean, op.outer, op.inner, RowMean{x, op.inner});
  if (!op.normalizeVariance) return {x, mean, nullptr, op.inner};
  run.sums(deviation, op.outer, op.inner, RowDeviation{x, mean, op.inner, op.eps});
  return {x, mean, deviation, op.inner};
}

template <class Run>
void forward(const Mvn& op, const Forward& at, Run& run) {
  run.map(at.y[0], op.outer * op.inner, normalized(op, at.x[0], at.scratch, run));
}

template <class Run>
void backward(const Mvn& op, const Backward& at, Run& run) {
  float *meanOfDiffs = at.scratch + 2 * op.outer, *meanOfProducts = at.scratch + 3 * op.outer;
  run.sums(meanOfDiffs, op.outer, op.inner, RowMean{at.dy[0], op.inner});
  Normalized y{nullptr, nullptr, nullptr, op.inner};
  if (op.normalizeVariance) {
    y = normalized(op, at.x[0], at.scratch, run);
    run.sums(meanOfProducts, op.outer, op.inner, NormalizedTimesDiff{y, at.dy[0]});
  }
  run.map(at.dx[0], op.outer * op.inner, NormalizedDiff{y, at.dy[0], meanOfDiffs, meanOfProducts});
}

}  // namespace resnode
