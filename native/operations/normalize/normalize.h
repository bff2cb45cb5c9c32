// normalize_layer.cpp of SSD (github.com/weiliu89/caffe; ParseNet, arXiv:1506.04579): divides by the L2 norm of an
// item, or of the channels at a position.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Sizes, and the positions of the values of one norm.
struct NormRows {
  int64_t items, channels, places;
  bool across, shared;
  float eps;

  NormRows(const Normalize& op, const Shape& x)
      : items(x[0]),
        channels(x[1]),
        places(elementCount(x) / (x[0] * x[1])),
        across(op.acrossSpatial),
        shared(op.channelShared),
        eps(op.eps) {}
  int64_t norms() const { return across ? items : items * places; }
  int64_t terms() const { return across ? channels * places : channels; }
  RESNODE_HOST_DEVICE int64_t at(int64_t norm, int64_t j) const {
    return across ? norm * channels * places + j : (norm / places * channels + j) * places + norm % places;
  }
  RESNODE_HOST_DEVICE int64_t normOf(int64_t i) const {
    const int64_t item = i / (channels * places);
    return across ? item : item * places + i % places;
  }
  RESNODE_HOST_DEVICE int64_t scaleOf(int64_t i) const { return shared ? 0 : i / places % channels; }
};

// Scratch: the norms, and Σ x·dy for each.
inline int64_t scratchFloats(const Normalize& op, const Shapes& inputs) { return 2 * NormRows(op, inputs[0]).norms(); }

struct NormOfRow {
  const float* x;
  NormRows rows;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t norm, int64_t j) const {
    const double value = x[rows.at(norm, j)];
    return {value * value, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(std::sqrt(sums.a + static_cast<double>(rows.eps)));
  }
};

struct ScaledByNorm {
  const float *x, *norms, *scale;
  NormRows rows;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return static_cast<float>(Real(x[i]) / Real(norms[rows.normOf(i)]) * Real(scale[rows.scaleOf(i)]));
  }
};

struct ValueTimesDiff {
  const float *x, *dy;
  NormRows rows;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t norm, int64_t j) const {
    const int64_t i = rows.at(norm, j);
    return {static_cast<double>(x[i]) * dy[i], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

struct NormInputDiff {
  const float *x, *dy, *norms, *products, *scale;
  NormRows rows;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t norm = rows.normOf(i);
    const Real length = norms[norm];
    return static_cast<float>((Real(dy[i]) - Real(x[i]) * Real(products[norm]) / (length * length)) / length *
                              Real(scale[rows.scaleOf(i)]));
  }
};

struct NormScaleDiff {
  const float *x, *dy, *norms;
  NormRows rows;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t c, int64_t j) const {
    const int64_t i = rows.shared ? j : (j / rows.places * rows.channels + c) * rows.places + j % rows.places;
    return {static_cast<double>(x[i]) / norms[rows.normOf(i)] * dy[i], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void forward(const Normalize& op, const Forward& at, Run& run) {
  const NormRows rows(op, at.xShape[0]);
  run.sums(at.scratch, rows.norms(), rows.terms(), NormOfRow{at.x[0], rows});
  run.map(at.y[0], elementCount(at.xShape[0]), ScaledByNorm{at.x[0], at.scratch, at.w[0], rows});
}

template <class Run>
void backward(const Normalize& op, const Backward& at, Run& run) {
  const NormRows rows(op, at.xShape[0]);
  const int64_t count = elementCount(at.xShape[0]);
  float *norms = at.scratch, *products = at.scratch + rows.norms();
  run.sums(norms, rows.norms(), rows.terms(), NormOfRow{at.x[0], rows});
  if (at.dx[0]) {
    run.sums(products, rows.norms(), rows.terms(), ValueTimesDiff{at.x[0], at.dy[0], rows});
    run.map(at.dx[0], count, NormInputDiff{at.x[0], at.dy[0], norms, products, at.w[0], rows});
  }
  run.sums(at.dw[0], rows.shared ? 1 : rows.channels, rows.shared ? count : rows.items * rows.places,
           NormScaleDiff{at.x[0], at.dy[0], norms, rows});
}

}  // namespace resnode
