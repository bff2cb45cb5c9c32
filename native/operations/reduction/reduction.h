// reduction_layer.cpp; the sign of 0 is 0.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct ReducedRow {
  const float* x;
  Reduction op;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t row, int64_t j) const {
    const double value = x[row * op.inner + j];
    return {op.method == ReductionMethod::sum    ? value
            : op.method == ReductionMethod::asum ? std::fabs(value)
                                                 : value * value,
            0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(op.coefficient * sums.a);
  }
};

struct ReducedDiff {
  const float *x, *dy;
  Reduction op;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const Real diff = Real(op.coefficient) * dy[i / op.inner];
    if (op.method == ReductionMethod::sum) return static_cast<float>(diff);
    const Real value = x[i];
    if (op.method == ReductionMethod::sumsq) return static_cast<float>(2 * diff * value);
    return static_cast<float>(value > 0 ? diff : value < 0 ? -diff : Real(0));
  }
};

template <class Run>
void forward(const Reduction& op, const Forward& at, Run& run) {
  run.sums(at.y[0], op.outer, op.inner, ReducedRow{at.x[0], op});
}

template <class Run>
void backward(const Reduction& op, const Backward& at, Run& run) {
  run.map(at.dx[0], op.outer * op.inner, ReducedDiff{at.x[0], at.dy[0], op});
}

}  // namespace resnode
